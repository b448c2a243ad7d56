"""The pages of sign-up and preferences, as browsers and mail scanners see them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.consent import links, signups
from apps.consent.models import ConsentRecord, PendingSignup
from apps.contacts.models import Contact
from apps.messaging.models import ServiceMail
from tests.factories.consent import SignupFormFactory

pytestmark = pytest.mark.django_db

ADA = {"email": "ada@example.com"}


@pytest.fixture
def base(settings: Any) -> None:
    settings.BASE_URL = "http://testserver"


def path_of(url: str) -> str:
    return url.removeprefix("http://testserver")


def test_signing_up_and_confirming_through_the_pages(client, base):
    form = SignupFormFactory(extra_fields=["first_name"])

    shown = client.get(f"/forms/{form.key}")
    sent = client.post(f"/forms/{form.key}", {**ADA, "first_name": "Ada"})
    link = path_of(ServiceMail.objects.get().values["links"]["confirm"])
    looked = client.get(link), client.head(link)
    before = Contact.objects.count()
    done = client.post(link, REMOTE_ADDR="203.0.113.9")

    assert form.name in shown.content.decode()
    assert (sent.status_code, client.get(sent["Location"]).status_code) == (303, 200)
    assert [answer.status_code for answer in looked] == [200, 200]
    assert "a…@example.com" in looked[0].content.decode()
    assert before == 0
    assert (done.status_code, Contact.objects.get().first_name) == (200, "Ada")
    assert "/preferences/" in done.content.decode()
    assert ConsentRecord.objects.get().method == "double_opt_in"


def test_a_bad_address_is_told_beside_the_field_and_nothing_is_lost(client, base):
    form = SignupFormFactory(extra_fields=["first_name"], topics=["tea", "news"])
    told = {"email": "ada", "first_name": "Ada <b>", "topics": ["tea"]}

    answer = client.post(f"/forms/{form.key}", told)

    page = answer.content.decode()
    assert answer.status_code == 400
    assert 'aria-invalid="true" aria-describedby="email-problem"' in page
    assert 'value="ada"' in page
    assert 'value="Ada &lt;b&gt;"' in page
    assert 'value="tea" checked' in page
    assert not PendingSignup.objects.exists()


def test_a_form_with_several_topics_wants_one_of_them(client, base):
    form = SignupFormFactory(topics=["tea", "news"])

    answer = client.post(f"/forms/{form.key}", {**ADA, "asks-topics": "1"})

    assert answer.status_code == 400
    assert "Choose what you would like to hear about." in answer.content.decode()


def test_a_form_leads_to_the_page_of_its_website_and_may_stand_in_it(client):
    form = SignupFormFactory(
        redirect_url="https://shop.example/thanks", allowed_origins=["https://shop.example"]
    )

    shown = client.get(f"/forms/{form.key}?embed")
    sent = client.post(f"/forms/{form.key}", ADA, headers={"Origin": "https://shop.example"})
    refused = client.post(f"/forms/{form.key}", ADA, headers={"Origin": "https://evil.example"})
    own = client.post(f"/forms/{form.key}", ADA, headers={"Origin": "http://testserver"})

    policy = shown["Content-Security-Policy"]
    assert "frame-ancestors 'self' https://shop.example" in policy
    assert "form-action 'self' https://shop.example/thanks" in policy
    assert "X-Frame-Options" not in shown
    assert sent["Location"] == "https://shop.example/thanks"
    assert (refused.status_code, own.status_code) == (403, 303)
    assert PendingSignup.objects.count() == 1


def test_a_machine_that_fills_in_everything_learns_nothing(client, base):
    form = SignupFormFactory()

    answer = client.post(f"/forms/{form.key}", {**ADA, "website": "https://spam.example"})

    assert answer.status_code == 303
    assert client.get(answer["Location"]).status_code == 200
    assert client.post(answer["Location"]).status_code == 303
    assert not PendingSignup.objects.exists()


def test_a_closed_or_unknown_form_says_so(client):
    form = SignupFormFactory(is_active=False)

    answers = [client.get(f"/forms/{form.key}"), client.post(f"/forms/{form.key}", ADA)]
    unknown = client.get("/forms/nothing")

    assert [answer.status_code for answer in answers] == [410, 410]
    assert unknown.status_code == 404


def test_the_mail_can_be_asked_for_again(client, base):
    form = SignupFormFactory()
    sent = client.post(f"/forms/{form.key}?embed", ADA)["Location"]
    PendingSignup.objects.update(mailed_at=timezone.now() - timedelta(minutes=5))

    answer = client.post(path_of(sent))

    assert answer["Location"].endswith("?embed&resent")
    assert "on its way" in client.get(answer["Location"]).content.decode()
    assert ServiceMail.objects.count() == 2


def test_a_link_that_is_too_old_says_so(client, base):
    form = SignupFormFactory()
    client.post(f"/forms/{form.key}", ADA)
    link = path_of(ServiceMail.objects.get().values["links"]["confirm"])
    signups.expire(now=timezone.now() + signups.LIFETIME)

    answers = [client.get(link), client.post(link)]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert "has expired" in answers[0].content.decode()
    assert not Contact.objects.exists()


@pytest.mark.parametrize(
    "path", ["/signup/confirm/x", "/signup/sent/x", "/preferences/x", "/preferences/%00:a"]
)
def test_a_forged_link_leads_nowhere(client, path):
    answers = [client.get(path), client.post(path)]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_a_link_for_one_thing_is_none_for_another(client, base):
    form = SignupFormFactory()
    sent = client.post(f"/forms/{form.key}", ADA)["Location"]
    token = sent.rpartition("/")[2]

    answer = client.post(f"/signup/confirm/{token}")

    assert answer.status_code == 404
    assert not Contact.objects.exists()


def test_links_are_signed_for_their_purpose():
    uuid = PendingSignup(form_id=1).uuid

    token = links.confirm_url(uuid).rpartition("/")[2]

    assert links.read_uuid(links.CONFIRM, token) == uuid
