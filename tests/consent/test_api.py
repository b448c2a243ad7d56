"""The sign-up endpoint, as scripts and plain forms on other websites call it."""

from typing import Any

import pytest

from apps.consent import services, signups
from apps.consent.models import PendingSignup, SignupForm, Suppression
from apps.messaging.models import ServiceMail
from tests.factories.consent import SignupFormFactory
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

SHOP = "https://shop.example"


def post(client: Any, form: SignupForm, told: Any, **headers: str) -> Any:
    return client.post(
        f"/v1/signup/{form.key}", told, content_type="application/json", headers=headers
    )


def test_json_gets_json(client):
    form = SignupFormFactory(topics=["tea"], extra_fields=["first_name"])

    answer = post(
        client,
        form,
        {"email": "ada@example.com", "first_name": "Ada", "topics": ["tea"]},
        Origin=SHOP,
    )

    assert answer.status_code == 202
    assert answer["Access-Control-Allow-Origin"] == SHOP
    assert answer.json()["success"] is True
    assert client.post(answer.json()["resend"]).status_code == 303
    assert PendingSignup.objects.get().details["texts"] == {"first_name": "Ada"}


def test_the_answer_never_says_whether_an_address_is_known(client):
    form = SignupFormFactory()
    ContactFactory(email="known@example.com")
    services.suppress(emails=["silent@example.com"], reason=Suppression.Reason.COMPLAINED, now=NOON)
    addresses = ["known@example.com", "silent@example.com", "new@example.com", "new@example.com"]

    answers = [post(client, form, {"email": address}) for address in addresses]

    told = {(answer.status_code, answer.json()["message"]) for answer in answers}
    assert len(told) == 1
    assert {len(answer.json()["resend"]) for answer in answers} == {
        len(answers[0].json()["resend"])
    }


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ('{"email": "ada"}', 400, '"email"'),
        ("{", 400, "JSON object"),
        ("[]", 400, "JSON object"),
        ('{"email": "\\ud800@example.com"}', 400, ""),
        ('{"email": ["ada@example.com"]}', 400, '"email"'),
        ('{"email": "ada@example.com", "topics": "tea"}', 400, "must be a list"),
        ('{"email": "ada@example.com", "topics": [1]}', 400, '"topics"'),
        (" " * 70_000, 400, "bytes"),
    ],
)
def test_what_can_not_be_used_is_refused_with_a_reason(client, body, status, told):
    answer = post(client, SignupFormFactory(), body)

    assert answer.status_code == status
    assert told in answer.content.decode()
    assert not PendingSignup.objects.exists()


def test_a_plain_form_is_led_to_the_page_that_reads_it(client):
    form = SignupFormFactory()

    answer = client.post(f"/v1/signup/{form.key}", {"email": "ada@example.com"}, follow=False)

    assert (answer.status_code, answer["Location"]) == (307, f"/forms/{form.key}")


def test_a_script_may_send_a_form(client):
    form = SignupFormFactory()

    answer = client.post(
        f"/v1/signup/{form.key}",
        {"email": "ada@example.com"},
        headers={"Accept": "application/json"},
    )

    assert (answer.status_code, PendingSignup.objects.count()) == (202, 1)


def test_other_websites_are_refused(client):
    form = SignupFormFactory(allowed_origins=[SHOP])

    answers = [
        post(client, form, {"email": "ada@example.com"}, Origin=origin)
        for origin in ("https://other.example", SHOP)
    ]

    assert [answer.status_code for answer in answers] == [403, 202]


def test_unknown_and_closed_forms_are_told_apart(client):
    closed = SignupFormFactory(is_active=False)

    answers = [post(client, form, {"email": "ada@example.com"}) for form in (closed, SignupForm())]

    assert [answer.status_code for answer in answers] == [410, 404]


def test_too_many_are_asked_to_wait(client, monkeypatch):
    monkeypatch.setattr(signups, "MAX_PER_IP", 1)
    form = SignupFormFactory()
    post(client, form, {"email": "ada@example.com"})

    answer = post(client, form, {"email": "bob@example.com"})

    assert (answer.status_code, answer["Retry-After"]) == (429, "3600")


def test_a_machine_in_the_trap_learns_nothing(client):
    answer = post(client, SignupFormFactory(), {"email": "ada@example.com", "website": "x"})

    assert answer.status_code == 202
    assert (PendingSignup.objects.count(), ServiceMail.objects.count()) == (0, 0)


def test_preflights_and_other_methods_are_answered(client):
    form = SignupFormFactory()

    preflight = client.options(f"/v1/signup/{form.key}", headers={"Origin": SHOP})
    read = client.get(f"/v1/signup/{form.key}")

    assert (preflight.status_code, preflight["Access-Control-Allow-Origin"]) == (204, SHOP)
    assert read.status_code == 405
