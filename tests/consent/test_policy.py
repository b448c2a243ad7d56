"""May we? By law, by what was said last, by topic, and for how long."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.consent import jurisdictions, policy, services
from apps.consent.models import ConsentRecord, Jurisdiction, JurisdictionRule, Purpose
from apps.consent.services import Statement
from apps.contacts.models import Contact
from tests.factories.consent import TopicFactory, deny, grant, say
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

MARKETING = Purpose.EMAIL_MARKETING
LATER = NOON + timedelta(hours=1)
PURPOSES = [
    "email_marketing", "tracking", "personalisation", "open_tracking", "sale_or_sharing",
]  # fmt: skip
PLACES = {
    "EU": ["DE", "FR", "IE", "NO", "IS", "LI", "GF"],
    "UK": ["GB", "IM"],
    "CH": ["CH"],
    "BR": ["BR"],
    "UNKNOWN": ["", "JP", "CA", "ZZ"],
}
STATES = [
    ("US-CA", "CA"), ("US-CA", "California"), ("US-CA", " ca "), ("US-STATES", "TX"),
    ("US-STATES", "new jersey"), ("US-STATES", "VA"), ("US", "WY"), ("US", ""), ("US", "?"),
]  # fmt: skip


def judged(contact, purpose=MARKETING, at=LATER, topic=None):
    decision = policy.allows(contact, purpose, at, topic)
    return decision.is_allowed, decision.reason, decision.values["jurisdiction"]


# --- by law ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize(
    ("key", "country"), [(key, country) for key, places in PLACES.items() for country in places]
)
def test_where_a_yes_is_needed_silence_is_none(key, country, purpose):
    contact = ContactFactory(country=country)

    assert judged(contact, purpose) == (False, "no_consent", key)


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize(("key", "state"), STATES)
def test_where_the_law_waits_for_a_no_silence_is_enough(key, state, purpose):
    contact = ContactFactory(country="US", attributes={"state": state})

    decision = policy.allows(contact, purpose, LATER)

    assert judged(contact, purpose) == (True, "", key)
    assert (decision.basis, decision.record_id) == ("opt_out", None)


@pytest.mark.parametrize("country", ["DE", "GB", "CH", "BR", "US", ""])
@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_yes_allows_and_a_no_forbids_everywhere(country, purpose):
    contact = ContactFactory(country=country)

    record = grant(contact, purpose, NOON)
    allowed = policy.allows(contact, purpose, LATER)
    refusal = deny(contact, purpose, LATER)
    refused = policy.allows(contact, purpose, LATER)

    assert (allowed.is_allowed, allowed.basis, allowed.record_id) == (True, "consent", record.pk)
    assert (refused.is_allowed, refused.reason) == (False, "consent_withdrawn")
    assert refused.record_id == refusal.pk


@pytest.mark.parametrize(
    "attributes",
    [
        {"region": "CA"},
        {"address": {"state": "California"}},
        {"address": {"region": "CA"}},
    ],
)
def test_a_state_is_found_where_shops_write_it(attributes):
    assert judged(ContactFactory(country="US", attributes=attributes))[2] == "US-CA"


@pytest.mark.parametrize(
    "attributes", [{"state": 7}, {"state": ["CA"]}, {"address": "CA"}, {"state": None}]
)
def test_a_state_that_can_not_be_read_is_none(attributes):
    assert judged(ContactFactory(country="US", attributes=attributes))[2] == "US"


def test_a_state_without_its_country_says_nothing():
    contact = ContactFactory(country="", attributes={"state": "CA"})

    assert judged(contact) == (False, "no_consent", "UNKNOWN")


@pytest.mark.parametrize(("country", "key"), [("", "US"), ("DE", "EU"), ("JP", "UNKNOWN")])
def test_the_record_tells_the_law_where_nobody_knows_the_country(country, key):
    contact = ContactFactory(country=country)
    said = Statement(contact.pk, MARKETING, "granted", "form", jurisdiction="US")
    services.record_consents(statements=[said], now=NOON)

    assert judged(contact) == (True, "", key)


def test_a_purpose_without_a_rule_needs_a_yes():
    JurisdictionRule.objects.filter(purpose=MARKETING).delete()

    assert judged(ContactFactory(country="US")) == (False, "no_consent", "US")


def test_without_any_jurisdiction_a_yes_is_needed():
    Jurisdiction.objects.all().delete()

    assert judged(ContactFactory(country="US")) == (False, "no_consent", "")


def test_what_staff_changed_is_not_laid_again():
    Jurisdiction.objects.get(key="BR").delete()
    Jurisdiction.objects.filter(key="US").update(countries=[])

    jurisdictions.install()

    assert not Jurisdiction.objects.filter(key="BR").exists()
    assert judged(ContactFactory(country="US"))[2] == "UNKNOWN"


def test_each_place_has_one_law_and_one_law_is_for_all_others():
    rows = list(Jurisdiction.objects.all())

    for field in ("countries", "regions"):
        places = [place for row in rows for place in getattr(row, field)]
        assert len(places) == len(set(places))
    assert [row.key for row in rows if row.is_fallback] == ["UNKNOWN"]
    assert {len(row.rules.all()) for row in rows} == {len(PURPOSES)}


def test_a_contact_that_is_gone_is_judged_by_the_strictest():
    [decision] = policy.decide(contacts=[0], purpose=MARKETING, at=NOON).values()

    assert (decision.is_allowed, decision.reason) == (False, "no_consent")


@pytest.mark.parametrize("count", [1, 30])
def test_a_decision_takes_one_query(count, django_assert_num_queries):
    contacts = [ContactFactory(country="US").pk for _ in range(count)]

    with django_assert_num_queries(1):
        decisions = policy.decide(contacts=contacts, purpose=MARKETING, at=NOON, topic="news")

    assert len(decisions) == count


# --- for how long ---------------------------------------------------------------------------------


@pytest.fixture
def ending():
    Purpose.objects.filter(key=MARKETING).update(validity_months=12)


@pytest.mark.parametrize(("days", "is_allowed"), [(364, True), (365, False), (800, False)])
def test_a_yes_ends_where_a_yes_is_needed(ending, days, is_allowed):
    contact = ContactFactory(country="DE")
    record = grant(contact, MARKETING, NOON)

    decision = policy.allows(contact, MARKETING, NOON + timedelta(days=days))

    assert (decision.is_allowed, decision.record_id) == (is_allowed, record.pk)
    assert decision.reason == ("" if is_allowed else "consent_expired")


def test_where_nobody_has_to_ask_an_old_yes_is_no_no(ending):
    contact = ContactFactory(country="US")
    grant(contact, MARKETING, NOON)

    decision = policy.allows(contact, MARKETING, NOON + timedelta(days=800))

    assert (decision.is_allowed, decision.basis) == (True, "opt_out")


def test_a_yes_said_again_prolongs_it(ending):
    contact = ContactFactory(country="DE")
    for day in (0, 0, 200):
        grant(contact, MARKETING, NOON + timedelta(days=day))

    assert ConsentRecord.objects.count() == 2
    assert policy.allows(contact, MARKETING, NOON + timedelta(days=500)).is_allowed
    assert services.verify_chain(contact) == []


def test_a_yes_that_a_server_only_repeats_prolongs_nothing(ending):
    contact = ContactFactory(country="DE")
    grant(contact, MARKETING, NOON)
    said = Statement(contact.pk, MARKETING, "granted", "api", is_explicit=False)

    services.record_consents(statements=[said], now=NOON + timedelta(days=200))

    assert ConsentRecord.objects.count() == 1


# --- topics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "topic", "expected"),
    [
        ("granted", None, (True, "")),
        ("granted", "granted", (True, "")),
        ("granted", "denied", (False, "topic_refused")),
        ("denied", "granted", (False, "consent_withdrawn")),
        (None, "granted", (False, "no_consent")),
    ],
)
def test_a_topic_needs_its_purpose_and_no_refusal_of_its_own(purpose, topic, expected):
    contact, news = ContactFactory(country="DE"), TopicFactory(key="news")
    if purpose:
        say(contact, MARKETING, purpose, NOON)
    if topic:
        say(contact, MARKETING, topic, NOON, topic="news")

    assert judged(contact, topic=news.key)[:2] == expected


def test_a_refused_topic_leaves_the_purpose_and_other_topics_alone():
    contact = ContactFactory()
    TopicFactory(key="news")
    TopicFactory(key="offers")
    grant(contact, MARKETING, NOON)
    say(contact, MARKETING, "denied", NOON, topic="news")

    assert judged(contact)[0]
    assert judged(contact, topic="offers")[0]
    assert services.verify_chain(contact) == []


def test_a_topic_is_known_under_its_purpose_only():
    contact = ContactFactory()
    TopicFactory(key="news")
    said = [
        Statement(contact.pk, "tracking", "granted", "form", topic="news"),
        Statement(contact.pk, MARKETING, "granted", "form", topic="weather"),
    ]

    assert services.record_consents(statements=said, now=NOON) == []


# --- any order ------------------------------------------------------------------------------------

STATEMENTS = st.lists(
    st.tuples(
        st.sampled_from(["granted", "denied"]),
        st.sampled_from(ConsentRecord.Method.values),
        st.booleans(),
        st.none() | st.integers(-30, 30),
        st.sampled_from([None, "news"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(statements=STATEMENTS, withdrawal=st.sampled_from(ConsentRecord.Method.values))
def test_after_a_withdrawal_nothing_said_before_it_allows(statements, withdrawal):
    """Whatever was said, in whatever order it arrives: a no wins over all that it follows."""
    TopicFactory(key="news")
    contact = ContactFactory()

    def record(offset, status, method, is_explicit, said, topic=None):
        at = NOON + timedelta(minutes=offset)
        statement = Statement(
            contact.pk,
            MARKETING,
            status,
            method,
            is_explicit=is_explicit,
            said_at=None if said is None else NOON + timedelta(minutes=said),
            topic=topic,
        )
        services.record_consents(statements=[statement], now=at)

    for status, method, is_explicit, said, topic in statements:
        record(40, status, method, is_explicit, said, topic)
    record(50, "denied", withdrawal, True, None)
    # What was said before the no, and what was only stored, arrives late and again.
    for status, method, is_explicit, said, topic in statements:
        record(60, status, method, is_explicit, said if said is not None else 45, topic)

    assert judged(contact, at=NOON + timedelta(minutes=70))[:2] == (False, "consent_withdrawn")
    assert not judged(contact, at=NOON + timedelta(minutes=70), topic="news")[0]
    assert services.verify_chain(contact) == []
    assert Contact.objects.filter(pk=contact.pk).exists()
