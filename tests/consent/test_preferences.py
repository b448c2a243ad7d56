"""The preference page: it shows what holds, records what changes, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.consent import links, policy, preferences, services
from apps.consent.models import ConsentRecord, ConsentState, MailPreference, Purpose
from apps.consent.preferences import Answer, Browser
from apps.consent.registry import PreferenceSection, _sections, register_preference_section
from apps.contacts.models import Contact
from tests.factories.consent import TopicFactory, deny, grant
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

MARKETING = Purpose.EMAIL_MARKETING
ADA = "ada@example.com"
LATER = NOON + timedelta(hours=1)


def save(contact: Contact, *, has_gpc: bool = False, now: Any = LATER, **answer: Any) -> None:
    browser = Browser(ip="203.0.113.77", user_agent="", has_gpc=has_gpc)
    preferences.save(contact=contact, answer=Answer(**answer), browser=browser, now=now)


def records_of(contact: Contact) -> list[tuple[str, str, str]]:
    rows = ConsentRecord.objects.filter(contact=contact, recorded_at__gte=LATER).order_by("id")
    return [(row.topic_id or row.purpose_id, row.status, row.method) for row in rows]


def path_of(contact: Contact) -> str:
    return "/preferences/" + links.preferences_url(contact.uuid).rpartition("/")[2]


def test_the_page_shows_what_holds_and_changes_nothing(client):
    contact = ContactFactory(email=ADA)
    TopicFactory(key="tea", name="Tea letters")
    grant(contact, MARKETING, NOON)

    answers = [client.get(path_of(contact)), client.head(path_of(contact))]

    page = answers[0].content.decode()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "a…@example.com" in page
    assert ADA not in page
    assert 'name="purpose" value="email_marketing" checked' in page
    assert 'name="purpose" value="tracking">' in page
    assert "Tea letters" in page
    assert ConsentRecord.objects.count() == 1
    assert not MailPreference.objects.exists()


def test_what_changes_is_recorded_and_what_does_not_is_not():
    contact = ContactFactory(email=ADA)
    TopicFactory(key="tea")
    TopicFactory(key="offers")
    grant(contact, MARKETING, NOON)

    save(contact, purposes=[MARKETING, "tracking"], topics=["tea"])
    save(contact, purposes=[MARKETING, "tracking"], topics=["tea"], now=LATER + timedelta(days=2))

    assert sorted(records_of(contact)) == [
        ("offers", "denied", "preference_center"),
        ("tracking", "granted", "preference_center"),
    ]
    record = ConsentRecord.objects.filter(topic="offers").get()
    assert (record.source, record.source_url, record.ip_network) == (
        "preference center", "", "203.0.113.0/24",
    )  # fmt: skip


def test_switching_mail_off_silences_and_on_again_lifts_it():
    contact = ContactFactory(email=ADA)
    grant(contact, MARKETING, NOON)

    save(contact, purposes=[])
    off = (policy.allows(contact, MARKETING, LATER).is_allowed, services.is_suppressed(ADA))
    save(contact, purposes=[MARKETING], now=LATER + timedelta(minutes=1))

    assert off == (False, True)
    assert policy.allows(contact, MARKETING, LATER + timedelta(minutes=2)).is_allowed
    assert not services.is_suppressed(ADA)


def test_all_off_takes_everything_back():
    contact = ContactFactory(email=ADA)
    for purpose in (MARKETING, "tracking"):
        grant(contact, purpose, NOON)

    preferences.refuse_all(contact=contact, browser=Browser(), now=LATER)

    states = ConsentState.objects.filter(contact=contact).values_list("status", flat=True)
    assert set(states) == {"denied"}
    assert {"email_marketing", "tracking", "sale_or_sharing"} <= {
        key for key, _, _ in records_of(contact)
    }
    assert services.is_suppressed(ADA)


def test_a_pause_lasts_thirty_days_and_can_be_ended():
    contact = ContactFactory(email=ADA)
    states = []

    for answer in ({"is_paused": True}, {"is_paused": True}, {"is_paused": False}):
        save(contact, **answer)
        states.append(MailPreference.objects.get().paused_until)
    save(contact, is_paused=True, now=LATER + timedelta(days=40))

    assert states == [LATER + timedelta(days=30), LATER + timedelta(days=30), None]
    assert MailPreference.objects.get().paused_until == LATER + timedelta(days=70)
    assert records_of(contact) == []


def test_a_pause_that_is_over_begins_anew():
    contact = ContactFactory(email=ADA)
    save(contact, is_paused=True)

    wish = preferences.get_wish(contact, LATER + timedelta(days=31))

    assert not wish.is_paused(LATER + timedelta(days=31))


@pytest.mark.parametrize(
    ("before", "shown", "chosen", "after"),
    [
        ("de-AT", "de", "fr", "fr"),
        ("de-AT", "de", "de", "de-AT"),
        ("pt_BR", "", "", "pt_BR"),
        ("", "", "de", "de"),
        ("en", "en", "xx", "en"),
    ],
)
def test_the_language_is_kept_where_templates_find_it(before, shown, chosen, after):
    contact = ContactFactory(email=ADA, locale=before)

    found = preferences.language_of(contact)
    save(contact, language=chosen)

    contact.refresh_from_db()
    assert (found, contact.locale) == (shown, after)


def test_the_browsers_signal_counts_as_a_no_when_a_person_saves(client):
    contact = ContactFactory(email=ADA, country="US", attributes={"state": "CA"})
    looked = client.get(path_of(contact), headers={"Sec-GPC": "1"})
    untouched = records_of(contact)

    save(contact, has_gpc=True, purposes=["sale_or_sharing"])

    page = looked.content.decode()
    assert "Global Privacy Control" in page
    assert "We honor it" in page
    assert 'value="sale_or_sharing" disabled' in page
    assert untouched == []
    assert ("sale_or_sharing", "denied", "gpc") in records_of(contact)


def test_what_rests_on_a_contract_is_no_choice():
    Purpose.objects.create(key="orders", name="Orders", lawful_basis=Purpose.Basis.CONTRACT)
    contact = ContactFactory()

    options = preferences.get_options(contact, has_gpc=False, now=NOON)

    assert "orders" not in [option.key for option in options]


def test_saving_through_the_page_shows_that_it_is_saved(client):
    contact = ContactFactory(email=ADA, locale="en")
    TopicFactory(key="tea")
    answer = client.post(
        path_of(contact),
        {
            "purpose": ["email_marketing"],
            "topic": ["tea"],
            "frequency": "weekly",
            "pause": "on",
            "language": "de",
        },
        REMOTE_ADDR="203.0.113.9",
    )

    page = client.get(answer["Location"]).content.decode()
    contact.refresh_from_db()
    wish = MailPreference.objects.get()
    assert answer.status_code == 303
    assert "Saved. This is how it stands now." in page
    assert 'value="weekly" checked' in page
    assert "Paused until" in page
    assert (wish.frequency, wish.is_paused(timezone.now()), contact.locale) == (
        "weekly",
        True,
        "de",
    )
    assert policy.allows(contact, MARKETING, timezone.now()).is_allowed


@pytest.mark.parametrize(
    "told", [{}, {"frequency": "hourly", "language": "\x00"}, {"purpose": "nothing", "topic": "x"}]
)
def test_what_the_page_does_not_offer_is_ignored(client, told):
    contact = ContactFactory(email=ADA)
    deny(contact, MARKETING, NOON)

    answer = client.post(path_of(contact), told)

    assert answer.status_code == 303
    assert ConsentRecord.objects.count() == 1


def test_turning_everything_off_through_the_page(client):
    contact = ContactFactory(email=ADA)
    grant(contact, MARKETING, NOON)

    answer = client.post(path_of(contact), {"all-off": "1", "purpose": ["email_marketing"]})

    assert "Everything is off" in client.get(answer["Location"]).content.decode()
    assert services.is_suppressed(ADA)


def test_a_person_who_was_forgotten_has_no_page(client):
    contact = ContactFactory()
    path = path_of(contact)
    contact.delete()

    answers = [client.get(path), client.post(path)]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_other_parts_hang_sections_below(client):
    contact = ContactFactory(email=ADA)
    shown = PreferenceSection(
        "test", 10, "public/link_not_valid.html", lambda contact, now: {"contact": contact}
    )
    hidden = PreferenceSection("none", 20, "no/such.html", lambda contact, now: None)
    for section in (hidden, shown):
        register_preference_section(section)

    page = client.get(path_of(contact)).content.decode()

    for section in (hidden, shown):
        del _sections[section.name]
    assert "cut off on its way" in page
