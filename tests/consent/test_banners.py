"""The banner’s answers: nameless after a no, handed over when a person identifies."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from apps.consent import banners, services
from apps.consent.facts import Trace
from apps.consent.models import (
    AnonymousConsent,
    Banner,
    ConsentRecord,
    ConsentState,
    Purpose,
    WordingVersion,
)
from apps.contacts.models import Contact, Identity
from apps.core.pseudonyms import hide_browser
from apps.events import pipeline
from apps.events import services as events
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

BROWSER = "0b6b2c1e-5a4e-4f7a-9a3e-2f1d3c4b5a69"
YES = {"tracking": True, "personalisation": True}
NO = {"tracking": False, "personalisation": False}
HERE = Trace(ip="203.0.113.77", source_url="https://shop.example/tea?x=ada")


def answer(choice: dict[str, Any], *, now: Any = NOON, **told: Any) -> AnonymousConsent:
    told = {"anonymousId": BROWSER, "action": "custom", **told, "choice": choice}
    return banners.record_answer(told=told, trace=HERE, now=now)


def states_of(contact: Contact) -> dict[str, str]:
    return dict(ConsentState.objects.filter(contact=contact).values_list("purpose", "status"))


def test_a_yes_names_the_browser_by_its_pseudonym():
    kept = answer(YES, action="accept_all", wording={"tracking": "2026-03"})

    assert (kept.browser, kept.choice, kept.action) == (hide_browser(BROWSER), YES, "accept_all")
    assert (kept.page, kept.ip_network) == ("https://shop.example/tea", "203.0.113.0/24")
    assert kept.wording == {"tracking": "2026-03"}
    assert BROWSER not in str(vars(kept))


def test_a_plain_no_names_nobody_and_taking_back_a_yes_does():
    first = answer(NO)
    answer(YES)
    last = answer(NO)

    assert [first.browser, last.browser] == ["", hide_browser(BROWSER)]


def test_an_answer_is_never_changed():
    kept = answer(YES)

    with pytest.raises(DatabaseError), transaction.atomic():
        AnonymousConsent.objects.filter(pk=kept.pk).update(choice=NO)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"choice": "yes"},
        {"choice": {}},
        {"choice": {"email_marketing": True}},
        {"choice": {"tracking": "yes"}},
    ],
)
def test_what_is_no_answer_is_refused(told):
    with pytest.raises(banners.BadAnswer):
        banners.record_answer(told=told, trace=HERE, now=NOON)

    assert not AnonymousConsent.objects.exists()


def test_odd_details_do_no_harm():
    kept = answer(
        YES,
        anonymousId=["x"],
        action="\x00",
        wording={"tracking": "\x00", "x" * 99: "v", "personalisation": 3},
        gpc="yes",
    )

    assert (kept.browser, kept.action, kept.has_gpc) == ("", "custom", False)
    assert kept.wording == {"x" * 40: "v"}


def test_the_browsers_signal_is_a_no_to_selling_whatever_was_clicked():
    kept = answer(YES, gpc=True)

    assert kept.choice == {**YES, "sale_or_sharing": False}
    assert kept.has_gpc


def test_the_banner_describes_itself(client):
    WordingVersion.objects.create(
        purpose_id="tracking", version="1", text="Old", text_hash="a" * 64, created_at=NOON
    )
    WordingVersion.objects.create(
        purpose_id="tracking", version="2", text="New", text_hash="b" * 64,
        created_at=NOON + timedelta(days=1),
    )  # fmt: skip
    Banner.objects.get().purposes.add(Purpose.EMAIL_MARKETING)

    told = client.get("/v1/banner").json()

    assert [purpose["key"] for purpose in told["purposes"]] == ["tracking", "personalisation"]
    assert told["purposes"][0]["text"] == "New"
    assert told["wording"] == {"tracking": "2"}


def test_an_answer_comes_in_as_plain_text_from_any_site(client):
    body = (
        f'{{"choice": {{"tracking": true}}, "anonymousId": "{BROWSER}", "url": "https://a.b/c?d"}}'
    )
    answers = [
        client.post(
            "/v1/banner/answers",
            told,
            content_type="text/plain",
            headers={"Origin": "https://shop.example"},
        )
        for told in (body, "{", '{"choice": 1}')
    ]

    assert [one.status_code for one in answers] == [201, 400, 400]
    assert answers[0]["Access-Control-Allow-Origin"] == "https://shop.example"
    assert AnonymousConsent.objects.get().page == "https://a.b/c"


def test_a_known_persons_no_is_theirs_at_once():
    contact = ContactFactory()
    Identity.objects.create(
        contact=contact, kind="anonymous_id", value=hide_browser(BROWSER), linked_at=NOON
    )
    answer(YES)
    answer(NO, now=NOON + timedelta(minutes=1))

    records = ConsentRecord.objects.filter(contact=contact, purpose="tracking").order_by("id")
    assert [(row.status, row.method) for row in records] == [
        ("granted", "banner"), ("denied", "banner"),
    ]  # fmt: skip


def test_a_browsers_yes_overturns_nothing_that_its_person_said():
    contact = ContactFactory()
    deny(contact, "tracking", NOON - timedelta(days=1))
    grant(contact, "personalisation", NOON - timedelta(days=1))
    answer(YES)

    banners.adopt(adoptions={BROWSER: contact.pk}, now=NOON)

    assert states_of(contact) == {"tracking": "denied", "personalisation": "granted"}
    assert ConsentRecord.objects.count() == 2


def test_identifying_joins_the_answer_to_the_person():
    source = SourceFactory()
    kept = answer({"tracking": True, "personalisation": False}, wording={"tracking": "7"})
    message = {
        "type": "identify",
        "userId": "c-1",
        "anonymousId": BROWSER,
        "messageId": "m-1",
        "traits": {"email": "ada@example.com"},
        "context": {"consent": {"categoryPreferences": {"tracking": True}}},
    }
    later = NOON + timedelta(hours=1)
    events.accept(source=source, is_secret=False, messages=[message], received_at=later)

    pipeline.drain(now=later)

    contact = Contact.objects.get()
    record = ConsentRecord.objects.get(purpose="tracking")
    assert states_of(contact) == {"tracking": "granted", "personalisation": "denied"}
    assert (record.method, record.wording_version) == ("banner", "7")
    assert record.evidence["answer"] == kept.pk
    assert services.verify_chain(contact) == []


def test_a_banner_can_not_allow_mail():
    contact = ContactFactory()
    Banner.objects.get().purposes.add(Purpose.EMAIL_MARKETING)
    answer({**YES, "email_marketing": True})

    banners.adopt(adoptions={BROWSER: contact.pk}, now=NOON)

    assert Purpose.EMAIL_MARKETING not in states_of(contact)


def test_an_installation_has_one_banner_and_keeps_it():
    Banner.objects.update(title="Ours")

    banners.install()

    assert Banner.objects.get().title == "Ours"


def test_the_script_is_served_to_any_site(client):
    answer = client.get("/js/cuepost-banner.js")
    again = client.get(
        "/js/cuepost-banner.js", headers={"If-Modified-Since": answer["Last-Modified"]}
    )

    assert b"cuepostBanner" in answer.content
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert again.status_code == 304


def test_one_network_can_not_flood_the_proofs(client, monkeypatch):
    monkeypatch.setattr(banners, "MAX_PER_NETWORK", 2)

    answers = [
        client.post(
            "/v1/banner/answers", '{"choice": {"tracking": true}}', content_type="text/plain"
        )
        for _ in range(3)
    ]
    later = answer(YES, now=timezone.now() + timedelta(minutes=2))

    assert [one.status_code for one in answers] == [201, 201, 429]
    assert AnonymousConsent.objects.count() == 3
    assert later.pk
