"""Random conditions about random people: SQL answers as the plain reference does."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.consent.services import Statement, record_consents
from apps.contacts.models import Contact
from apps.events.models import Event
from apps.segments.compiler import Subject, contacts_matching, explain, matching_pairs
from apps.segments.conditions import parse
from tests.factories.events import EventFactory, SourceFactory
from tests.factories.segments import SegmentFactory
from tests.instants import NOON
from tests.segments.reference import KEY, Deed, Person, Question, holds

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
# Few moments, so that events often lie exactly on a window's edge.
MOMENTS = st.integers(-6, 6).map(lambda hours: NOON + 12 * hours * HOUR)
LATE = st.sampled_from([0 * HOUR, 12 * HOUR, 36 * HOUR, -HOUR / 12])
ITEMS = st.sampled_from(["c1", "c2", None])
DURATIONS = ["12 hours", "1 day", "2 days"]
DAYS = ["2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03"]


def _deed(name, at, late, item, is_backfill):
    return Deed(name, at, at + late, item, is_backfill)


DEEDS = st.builds(_deed, st.sampled_from("AB"), MOMENTS, LATE, ITEMS, st.booleans())
CONSENTS = st.dictionaries(MOMENTS, st.sampled_from(["granted", "denied"]), max_size=3)
PEOPLE = st.builds(
    Person,
    country=st.sampled_from(["DE", "FR", ""]),
    plan=st.sampled_from(["pro", "free", None, True]),
    deeds=st.lists(DEEDS, min_size=2, max_size=6),
    consents=CONSENTS.map(lambda told: _changes(sorted(told.items()))),
)
CROWDS = st.lists(PEOPLE, min_size=4, max_size=4)


def _changes(told):
    """The ledger keeps what changes something."""
    return [one for i, one in enumerate(told) if i == 0 or told[i - 1][1] != one[1]]


TIMES = st.sampled_from(
    [{}, {}, {"at_least": 2}, {"at_most": 1}, {"exactly": 0}, {"exactly": 2},
     {"at_least": 1, "at_most": 2}]
)  # fmt: skip
WINDOWS = st.one_of(
    st.just({}),
    st.sampled_from(DURATIONS).map(lambda text: {"within": text}),
    st.sampled_from(DURATIONS).map(lambda text: {"more_than_ago": text}),
    st.just({"within": "2 days", "more_than_ago": "12 hours"}),
    st.lists(st.sampled_from(DAYS), min_size=2, max_size=2).map(lambda d: {"between": sorted(d)}),
)
SINCE = st.just({"within": "since_enrollment"}) | st.just(
    {"within": "since_enrollment", "more_than_ago": "12 hours"}
)


def leaves(windows, items):
    where = st.just({}) | items.map(lambda item: {"where": [{"property": "item", "is": item}]})
    did = st.builds(
        lambda *parts: {name: value for part in parts for name, value in part.items()},
        st.sampled_from([{"did": "A"}, {"did": "B"}]),
        TIMES,
        windows,
        where,
    )
    did_not = st.builds(lambda a, b: {"did_not": "A", **a, **b}, windows, where)
    others = st.sampled_from(
        [
            {"attribute": "country", "is": "DE"},
            {"attribute": "country", "is_set": False},
            {"attribute": "plan", "is": "pro"},
            {"attribute": "plan", "is_set": True},
            {"consent": "email_marketing", "is": "granted"},
            {"consent": "email_marketing", "is": "denied"},
            {"consent": "email_marketing", "is_not": "granted"},
        ]
    )
    return st.tuples(st.sampled_from("dddnno"), did, did_not, others).map(
        lambda drawn: drawn["dno".index(drawn[0]) + 1]
    )


def trees(leaf, depth=2):
    if depth == 0:
        return leaf
    parts = st.lists(trees(leaf, depth - 1), min_size=1, max_size=3)
    return st.tuples(st.sampled_from(["leaf", "leaf", "all", "any", "not"]), leaf, parts).map(
        lambda drawn: {"leaf": drawn[1], "not": {"not": drawn[2][0]}}.get(
            drawn[0], {drawn[0]: drawn[2]}
        )
    )


def many(tree):
    """Several conditions at once: people are costly, questions are cheap."""
    return st.lists(tree, min_size=8, max_size=8)


PLAIN = trees(leaves(WINDOWS, st.sampled_from(["c1", "c2"])))
NAMED = st.sampled_from([{"in_segment": "x"}, {"in_segment": "y"}])
WITH_SEGMENTS = trees(leaves(WINDOWS, st.just("c1")) | NAMED)
ENROLLED = trees(leaves(WINDOWS | SINCE | SINCE, st.just(KEY) | st.just("c1")))


def store(people):
    EventFactory(contact=None, received_at=NOON)
    EventFactory(contact=None, received_at=NOON - 72 * HOUR)
    contacts = Contact.objects.bulk_create(
        Contact(country=one.country, attributes={} if one.plan is None else {"plan": one.plan})
        for one in people
    )
    for person, contact in zip(people, contacts, strict=True):
        person.pk = contact.pk
    source = SourceFactory()
    Event.objects.bulk_create(
        Event(
            contact_id=person.pk,
            type="track",
            name=deed.name,
            properties={} if deed.item is None else {"item": deed.item},
            source=source,
            message_id=f"{person.pk}-{number}",
            is_trusted=True,
            is_backfill=deed.is_backfill,
            received_at=deed.received_at,
            occurred_at=deed.occurred_at,
        )
        for person in people
        for number, deed in enumerate(person.deeds)
    )
    for at in sorted({at for person in people for at, _ in person.consents}):
        record_consents(statements=said_at(at, people), now=at)


def said_at(at, people):
    return [
        Statement(person.pk, "email_marketing", status, method="form")
        for person in people
        for told_at, status in person.consents
        if told_at == at
    ]


@settings(max_examples=25, deadline=None)
@given(
    people=CROWDS,
    conditions=many(PLAIN | WITH_SEGMENTS),
    segments=st.fixed_dictionaries({"x": PLAIN, "y": PLAIN}),
    as_of=MOMENTS,
)
def test_contacts_and_explanations_are_those_of_the_reference(people, conditions, segments, as_of):
    asked = Question(as_of, segments)

    with transaction.atomic():
        store(people)
        for key, tree in segments.items():
            SegmentFactory(key=key, condition=tree)
        found = [matching(parse(data), as_of) for data in conditions]
        said = [met(parse(data), people, as_of) for data in conditions]
        transaction.set_rollback(True)

    expected = [{one.pk for one in people if holds(data, one, asked)} for data in conditions]
    assert found == said == expected


def matching(condition, as_of):
    return set(contacts_matching(condition, as_of=as_of).values_list("pk", flat=True))


def met(condition, people, as_of):
    return {one.pk for one in people if explain(condition, contact_id=one.pk, as_of=as_of).is_met}


@settings(max_examples=25, deadline=None)
@given(
    people=CROWDS,
    conditions=many(ENROLLED),
    enrollments=st.lists(
        st.tuples(MOMENTS, st.sampled_from(["c1", "c2", ""])), min_size=2, max_size=4
    ),
    as_of=MOMENTS,
)
def test_enrollments_are_judged_as_the_reference_does(people, conditions, enrollments, as_of):
    with transaction.atomic():
        store(people)
        asked = [
            (one, Question(as_of, {}, since, key)) for one in people for since, key in enrollments
        ]
        pairs = [
            Subject(number, one.pk, question.since, question.entry_key)
            for number, (one, question) in enumerate(asked)
        ]
        found = [
            matching_pairs(parse(data, allow_enrollment=True), pairs=pairs, as_of=as_of)
            for data in conditions
        ]
        transaction.set_rollback(True)

    assert found == [
        {number for number, one in enumerate(asked) if holds(data, *one)} for data in conditions
    ]
