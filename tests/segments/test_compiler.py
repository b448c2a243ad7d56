from datetime import datetime, timedelta

import pytest
from django.db import connection

from apps.contacts.models import Contact
from apps.segments.compiler import (
    Finding,
    Subject,
    contacts_matching,
    explain,
    explain_pairs,
    matching_pairs,
)
from apps.segments.conditions import ConditionError, parse
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.events import EventFactory
from tests.factories.segments import SegmentFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def did(contact, *days_ago, name="A", **changes):
    """Events of a contact, so many days before noon."""
    for days in days_ago:
        at = NOON - days * DAY
        EventFactory(contact=contact, name=name, **{"received_at": at, **changes})


def is_met(condition, contact, *, as_of=NOON):
    return contact in set(contacts_matching(parse(condition), as_of=as_of))


# --- how often ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "met_by"),
    [
        ({}, {1, 2, 3, 4}),
        ({"at_least": 1}, {1, 2, 3, 4}),
        ({"at_least": 3}, {3, 4}),
        ({"at_most": 0}, {0}),
        ({"at_most": 2}, {0, 1, 2}),
        ({"exactly": 0}, {0}),
        ({"exactly": 2}, {2}),
        ({"at_least": 2, "at_most": 3}, {2, 3}),
    ],
)
@pytest.mark.parametrize("is_wanted", [True, False])
def test_events_are_counted(times, met_by, is_wanted):
    people = ContactFactory.create_batch(5)
    for count, contact in enumerate(people):
        did(contact, *range(count))
    asked = {"did": "A", **times} if is_wanted else {"not": {"did": "A", **times}}
    condition = parse(asked)

    everybody = [Subject(key=count, contact_id=one.pk) for count, one in enumerate(people)]
    by_set = {people.index(one) for one in contacts_matching(condition, as_of=NOON)}
    by_pair = matching_pairs(condition, pairs=everybody, as_of=NOON)

    assert by_set == by_pair == (met_by if is_wanted else set(range(5)) - met_by)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"name": "B"}, False),
        ({"name": "a"}, False),
        ({"type": "page"}, False),
        ({"properties": {"size": "43"}}, False),
        ({"contact": None}, False),
    ],
)
def test_only_the_event_that_is_meant_counts(changes, counts):
    contact = ContactFactory()
    event = {"contact": contact, "name": "A", "properties": {"size": 42}}
    EventFactory(**{**event, **changes})

    assert is_met({"did": "A", "where": [{"property": "size", "is": 42}]}, contact) is counts


# --- when -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "age", "counts"),
    [
        ({}, 0 * DAY, True),
        ({}, -TICK, False),
        ({"within": "30 days"}, 30 * DAY, True),
        ({"within": "30 days"}, 30 * DAY + TICK, False),
        ({"more_than_ago": "30 days"}, 30 * DAY, False),
        ({"more_than_ago": "30 days"}, 30 * DAY + TICK, True),
        ({"within": "30 days", "more_than_ago": "7 days"}, 7 * DAY, False),
        ({"within": "30 days", "more_than_ago": "7 days"}, 30 * DAY, True),
        ({"within": "30 days", "more_than_ago": "7 days"}, 31 * DAY, False),
    ],
)
@pytest.mark.parametrize("as_of", [NOON, NOON - 400 * DAY])
def test_windows_end_to_the_microsecond(window, age, counts, as_of):
    contact = ContactFactory()
    EventFactory(contact=contact, name="A", received_at=as_of - age)

    assert is_met({"did": "A", **window}, contact, as_of=as_of) is counts


@pytest.mark.parametrize(
    ("dates", "at", "counts"),
    [
        (["2026-02-28", "2026-03-01"], "2026-02-27T23:59:59.999999Z", False),
        (["2026-02-28", "2026-03-01"], "2026-02-28T00:00Z", True),
        (["2026-02-28", "2026-03-01"], "2026-03-01T23:59:59.999999Z", True),
        (["2026-02-28", "2026-03-01"], "2026-03-02T00:00Z", False),
        (["2026-03-01T12:00Z", "2026-03-01T13:00+01:00"], "2026-03-01T12:00Z", True),
        (["2026-03-01", "2026-03-31"], "2026-03-02T12:00:00.000001Z", False),
    ],
)
def test_days_are_whole_days_and_end_with_the_question(dates, at, counts):
    contact = ContactFactory()
    EventFactory(contact=contact, name="A", received_at=datetime.fromisoformat(at))

    assert is_met({"did": "A", "between": dates}, contact) is counts


@pytest.mark.parametrize(
    ("occurred_at", "received_at", "counts"),
    [
        (NOON - DAY, NOON + DAY, True),
        (NOON - DAY - TICK, NOON, False),
        (NOON - DAY, NOON - DAY - timedelta(minutes=5), True),
        (NOON + TICK, NOON, False),
    ],
)
def test_an_event_counts_from_when_it_happened(occurred_at, received_at, counts):
    contact = ContactFactory()
    EventFactory(contact=contact, name="A", occurred_at=occurred_at, received_at=received_at)

    assert is_met({"did": "A", "within": "1 day"}, contact) is counts


def test_old_months_of_the_log_are_not_opened():
    contact = ContactFactory()
    did(contact, 0, 400)

    query = contacts_matching(parse({"did": "A", "within": "30 days"}), as_of=NOON)

    assert "events_event_2026_03" in query.explain()
    assert "events_event_2025_01" not in query.explain()


# --- since entering -------------------------------------------------------------------------------

SINCE = {"did": "A", "within": "since_enrollment"}


@pytest.mark.parametrize(
    ("occurred_at", "received_at", "is_backfill", "counts"),
    [
        (NOON, NOON, False, True),
        (NOON - TICK, NOON - TICK, False, False),
        (NOON - DAY, NOON, False, True),
        (NOON - DAY, NOON, True, False),
        (NOON + TICK, NOON + DAY, True, True),
        (NOON + timedelta(minutes=4), NOON - TICK, False, True),
        (NOON + 3 * DAY, NOON + 3 * DAY, False, False),
    ],
)
def test_since_entering_counts_what_happened_or_was_heard_of_since(
    occurred_at, received_at, is_backfill, counts
):
    event = EventFactory(
        contact=ContactFactory(),
        name="A",
        occurred_at=occurred_at,
        received_at=received_at,
        is_backfill=is_backfill,
    )
    subject = Subject(key=7, contact_id=event.contact_id, since=NOON)

    found = matching_pairs(
        parse(SINCE, allow_enrollment=True), pairs=[subject], as_of=NOON + 2 * DAY
    )

    assert found == ({7} if counts else set())


def test_each_enrollment_is_judged_by_its_own_time_and_key():
    contact, other = ContactFactory.create_batch(2)
    did(contact, 1, properties={"cart_id": "c1"})
    did(other, 1, properties={"cart_id": 7})
    where = [{"property": "cart_id", "is": {"var": "entry_key"}}]
    pairs = [
        Subject(1, contact.pk, NOON - 2 * DAY, "c1"),
        Subject(2, contact.pk, NOON - 2 * DAY, "c2"),
        Subject(3, contact.pk, NOON, "c1"),
        Subject(4, other.pk, NOON - 2 * DAY, "7"),
        Subject(5, other.pk, NOON - 2 * DAY, ""),
        Subject(6, other.pk, None, "7"),
        Subject(7, 0, NOON, "7"),
    ]

    found = matching_pairs(
        parse({**SINCE, "where": where}, allow_enrollment=True), pairs=pairs, as_of=NOON
    )

    assert found == {1, 4}


def test_an_attribute_can_be_what_the_enrollment_is_about():
    contact = ContactFactory(attributes={"favorite": "p1"}, external_id="p2")
    pairs = [Subject(1, contact.pk, NOON, "p1"), Subject(2, contact.pk, NOON, "p2")]

    for name, key in (("favorite", 1), ("external_id", 2)):
        condition = parse({"attribute": name, "is": {"var": "entry_key"}}, allow_enrollment=True)
        assert matching_pairs(condition, pairs=pairs, as_of=NOON) == {key}


@pytest.mark.parametrize("condition", [SINCE, {"did": "A"}, {"did": "A", "within": "1 day"}])
def test_an_event_whose_clock_is_ahead_counts_for_who_decides_right_now(condition):
    contact = ContactFactory()
    ahead = NOON + timedelta(minutes=5)
    EventFactory(contact=contact, name="A", occurred_at=ahead, received_at=NOON)
    tree = parse(condition, allow_enrollment=True)
    pairs = [Subject(key=1, contact_id=contact.pk, since=NOON)]

    assert matching_pairs(tree, pairs=pairs, as_of=NOON) == set()
    assert matching_pairs(tree, pairs=pairs, as_of=NOON, seen_until=ahead) == {1}


@pytest.mark.parametrize(
    "data",
    [SINCE, {"not": SINCE}, {"attribute": "a", "is": {"var": "entry_key"}},
     {"did": "A", "where": [{"property": "a", "is": {"var": "entry_key"}}]}],
)  # fmt: skip
def test_a_set_of_contacts_has_not_entered_anything(data):
    condition = parse(data, allow_enrollment=True)

    with pytest.raises(ConditionError, match="speaks of a workflow, but nobody is inside one"):
        contacts_matching(condition, as_of=NOON)


@pytest.mark.parametrize("count", [1, 30])
def test_all_enrollments_are_judged_in_one_query(count, django_assert_num_queries):
    pairs = [Subject(i, ContactFactory().pk, NOON, "c1") for i in range(count)]
    tree = {"any": [{**SINCE, "at_least": 2}, {"not": {"attribute": "country", "is": "DE"}}]}
    condition = parse(tree, allow_enrollment=True)

    with django_assert_num_queries(1):
        assert matching_pairs(condition, pairs=pairs, as_of=NOON) == set(range(count))


def test_nobody_asked_means_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert matching_pairs(parse({"did": "A"}), pairs=[], as_of=NOON) == set()


# --- contacts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ({"attribute": "country", "is": "de"}, {"ada"}),
        ({"attribute": "country", "is_not": "DE"}, {"bob", "cyd"}),
        ({"attribute": "country", "in": ["DE", "FR", 7]}, {"ada", "bob"}),
        ({"attribute": "country", "not_in": ["DE", "FR"]}, {"cyd"}),
        ({"attribute": "country", "in": [7]}, set()),
        ({"attribute": "country", "is_set": True}, {"ada", "bob"}),
        ({"attribute": "email", "is_set": False}, {"cyd"}),
        ({"attribute": "email", "ends_with": "@Example.COM"}, {"ada", "bob"}),
        ({"attribute": "email", "starts_with": "ada@"}, {"ada"}),
        ({"attribute": "email", "contains": "b@e"}, {"bob"}),
        ({"attribute": "external_id", "is": 7}, {"bob"}),
        ({"attribute": "external_id", "at_least": 7}, {"bob"}),
        ({"attribute": "external_id", "after": "2026-01-01"}, {"cyd"}),
        ({"attribute": "plan.name", "is": "pro"}, {"ada"}),
        ({"attribute": "plan.name", "is_not": "pro"}, {"bob", "cyd"}),
        ({"attribute": "plan", "is_set": True}, {"ada", "bob"}),
        ({"attribute": "tags", "contains": "vip"}, {"bob"}),
        ({"attribute": "created_at", "is_set": True}, {"ada", "bob", "cyd"}),
        ({"attribute": "created_at", "before": "2020-01-01"}, {"ada"}),
        ({"attribute": "created_at", "after": "2020-01-01"}, {"bob", "cyd"}),
        ({"not": {"all": [{"attribute": "country", "is": "DE"}]}}, {"bob", "cyd"}),
    ],
)
def test_attributes_are_columns_or_free(condition, names):
    plan = {"plan": {"name": "pro"}}
    ContactFactory(first_name="ada", email="ada@example.com", country="DE", attributes=plan)
    ContactFactory(
        first_name="bob",
        email="bob@example.com",
        country="FR",
        external_id="7",
        attributes={"plan": "pro", "tags": ["new", "vip"]},
    )
    ContactFactory(first_name="cyd", email=None, external_id="2026-02-02")
    Contact.objects.filter(first_name="ada").update(created_at="2019-12-31T23:59Z")

    found = contacts_matching(parse(condition), as_of=NOON)

    assert set(found.values_list("first_name", flat=True)) == names


@pytest.mark.parametrize(
    ("demand", "at", "met"),
    [
        ({"is": "granted"}, NOON - TICK, False),
        ({"is": "granted"}, NOON, True),
        ({"is": "granted"}, NOON + DAY, False),
        ({"is": "denied"}, NOON + DAY, True),
        ({"is_not": "denied"}, NOON - TICK, True),
        ({"is_not": "granted"}, NOON, False),
    ],
)
def test_consent_is_what_the_ledger_said_at_that_time(demand, at, met):
    contact = ContactFactory()
    grant(contact, "email_marketing", NOON)
    deny(contact, "email_marketing", NOON + DAY)
    grant(contact, "tracking", NOON - DAY)

    assert is_met({"consent": "email_marketing", **demand}, contact, as_of=at) is met


# --- groups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        {"any": [{"did": "A"}, {"attribute": "country", "is": "DE"}]},
        {
            "any": [
                {"did": "A"},
                {"attribute": "country", "is": "DE"},
                {"consent": "x", "is": "denied"},
            ]
        },
        {"not": {"all": [{"did_not": "A"}, {"not": {"in_segment": "germans"}}]}},
        {"any": [{"all": [{"did": "A"}]}, {"any": [{"in_segment": "germans"}, {"did": "B"}]}]},
    ],
)
def test_one_way_of_several_is_enough(condition):
    SegmentFactory(key="germans")
    german, doer, both, _ = (ContactFactory(country=code) for code in ("DE", "", "DE", "FR"))
    did(doer, 1)
    did(both, 1, 2)

    assert set(contacts_matching(parse(condition), as_of=NOON)) == {german, doer, both}


def test_groups_within_groups_keep_their_contacts_apart():
    doer, other, _ = ContactFactory.create_batch(3)
    did(doer, 1)
    did(other, 1, 9)
    rare = {"any": [{"did_not": "A", "more_than_ago": "7 days"}, {"did": "B"}]}
    condition = parse({"any": [{"all": [rare, {"did": "A"}]}, {"consent": "x", "is": "granted"}]})

    assert list(contacts_matching(condition, as_of=NOON)) == [doer]


def test_the_contacts_are_a_queryset_like_any_other():
    ada, bob = ContactFactory.create_batch(2, country="DE")
    did(ada, 1)
    tree = {"any": [{"did": "A", "at_least": 1}, {"consent": "tracking", "is": "granted"}]}
    found = contacts_matching(parse(tree), as_of=NOON)
    IdentityFactory(contact=ada, value="here")
    IdentityFactory(contact=bob, value="not")

    assert found.count() == 1
    assert found.filter(country="FR").count() == 0
    assert list((found | Contact.objects.filter(pk=bob.pk)).order_by("pk")) == [ada, bob]
    assert list(Contact.objects.exclude(pk__in=found)) == [bob]
    # Inside another query on contacts, the same table has another name.
    assert list(Contact.objects.filter(identities__contact__in=found).distinct()) == [ada]


def test_names_from_outside_stay_values():
    evil = "'; DROP TABLE contacts_contact; -- %s {} \"\\"
    contact = ContactFactory(attributes={evil: evil})
    did(contact, 1, name=evil, properties={evil: evil})
    tree = {
        "all": [
            {"did": evil, "where": [{"property": evil, "is": evil}]},
            {"attribute": evil, "in": [evil]},
            {"attribute": evil, "contains": evil},
        ]
    }

    assert is_met(tree, contact)
    assert explain(parse(tree), contact_id=contact.pk, as_of=NOON).is_met


def test_a_check_of_one_contact_uses_the_index():
    contact = ContactFactory()
    did(contact, 1)
    query = contacts_matching(parse({"did": "A", "at_least": 3}), as_of=NOON).filter(pk=contact.pk)

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = query.explain()

    assert "(contact_id = " in plan
    assert "contact_id_name_occurred_at" in plan


# --- why ------------------------------------------------------------------------------------------


def test_explain_tells_for_each_part_what_it_was_judged_on(django_assert_num_queries):
    contact = ContactFactory(country="DE")
    record = grant(contact, "tracking", NOON - DAY)
    did(contact, 1, 2, 40)
    SegmentFactory(key="germans", condition={"any": [{"attribute": "country", "is": "DE"}]})
    tree = {
        "all": [
            {"in_segment": "germans"},
            {"not": {"did": "A", "at_least": 3, "within": "30 days"}},
            {"any": [{"consent": "tracking", "is": "granted"}, {"attribute": "a.b", "is": 1}]},
            {"consent": "email_marketing", "is_not": "granted"},
        ]
    }

    with django_assert_num_queries(2):
        finding = explain(parse(tree), contact_id=contact.pk, as_of=NOON)

    assert [part.is_met for part in finding.parts] == [True, True, True, True]
    segment, negated, ways, refused = finding.parts
    assert segment.parts[0].parts == (
        Finding("country is “DE”", is_met=True, values={"value": "DE"}),
    )
    assert negated.parts == (
        Finding(
            "did A at least 3 times in the last 30 days",
            is_met=False,
            values={"count": 2, "last_at": (NOON - DAY).isoformat()},
        ),
    )
    assert [(part.is_met, part.values) for part in ways.parts] == [
        (
            True,
            {
                "status": "granted",
                "record": record.pk,
                "recorded_at": (NOON - DAY).isoformat(),
            },
        ),
        (False, {"value": None}),
    ]
    assert refused.values == {}


def test_explain_knows_the_enrollment_that_is_asked_about():
    contact = ContactFactory()
    did(contact, 1, properties={"cart_id": "c1"})
    where = [{"property": "cart_id", "is": {"var": "entry_key"}}]
    condition = parse({**SINCE, "where": where}, allow_enrollment=True)

    finding = explain(
        condition, contact_id=contact.pk, as_of=NOON, since=NOON - DAY, entry_key="c1"
    )

    assert (finding.is_met, finding.values["count"]) == (True, 1)
    assert not explain(condition, contact_id=contact.pk, as_of=NOON).is_met


@pytest.mark.parametrize("count", [1, 20])
def test_explain_pairs_tells_it_of_many_in_one_query(count, django_assert_num_queries):
    contacts = ContactFactory.create_batch(count)
    did(contacts[0], 1, properties={"cart_id": "c1"})
    where = [{"property": "cart_id", "is": {"var": "entry_key"}}]
    condition = parse({"not": {**SINCE, "where": where}}, allow_enrollment=True)
    pairs = [Subject(n, one.pk, NOON - DAY, "c1") for n, one in enumerate(contacts)]
    gone = Subject(count, 0, NOON - DAY, "c1")

    with django_assert_num_queries(1):
        found = explain_pairs(condition, pairs=[*pairs, gone], as_of=NOON)

    assert sorted(found) == list(range(count))
    assert {key for key, one in found.items() if one.is_met} == set(range(1, count))
    assert found[0].as_values() == {
        "condition": found[0].sentence,
        "is_met": False,
        "parts": [
            {
                "condition": found[0].parts[0].sentence,
                "is_met": True,
                "count": 1,
                "last_at": (NOON - DAY).isoformat(),
            }
        ],
    }
    assert explain_pairs(condition, pairs=[], as_of=NOON) == {}


def test_explain_pairs_sees_what_happened_while_we_were_busy():
    contact = ContactFactory()
    did(contact, -0.001)
    moments = {"as_of": NOON, "seen_until": NOON + DAY}

    found = explain_pairs(parse({"did": "A"}), pairs=[Subject(1, contact.pk)], **moments)

    assert (found[1].is_met, found[1].values["count"]) == (True, 1)


def test_explain_knows_no_strangers():
    with pytest.raises(Contact.DoesNotExist):
        explain(parse({"did": "A"}), contact_id=0, as_of=NOON)
