"""Random conditions about random people: SQL answers as the plain reference does."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.contacts.models import Contact
from apps.events.models import Event
from apps.segments.compiler import Subject, contacts_matching, explain, matching_pairs
from apps.segments.conditions import parse
from tests.factories.consent import deny, grant
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
    deeds=st.lists(DEEDS, max_size=6),
    consents=CONSENTS.map(lambda told: _changes(sorted(told.items()))),
)


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


def filters(values):
    return st.just({}) | values.map(lambda item: {"where": [{"property": "item", "is": item}]})


def leaves(windows, values):
    names = st.sampled_from("AB")
    where = filters(values)
    return st.one_of(
        st.builds(lambda a, b, c, d: {"did": a, **b, **c, **d}, names, TIMES, windows, where),
        st.builds(lambda a, b, c: {"did_not": a, **b, **c}, names, windows, where),
        st.sampled_from(["DE", ""]).map(lambda text: {"attribute": "country", "is": text}),
        st.sampled_from(["pro", True]).map(lambda plan: {"attribute": "plan", "is": plan}),
        st.builds(lambda a, b: {"attribute": a, "is_set": b}, st.sampled_from(["country", "plan"]),
                  st.booleans()),
        st.builds(lambda a, b: {"consent": "email_marketing", a: b},
                  st.sampled_from(["is", "is_not"]), st.sampled_from(["granted", "denied"])),
    )  # fmt: skip


def trees(leaf):
    def grow(inner):
        parts = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            parts.map(lambda some: {"all": some}),
            parts.map(lambda some: {"any": some}),
            inner.map(lambda one: {"not": one}),
        )

    return st.recursive(leaf, grow, max_leaves=6)


PLAIN = trees(leaves(WINDOWS, st.sampled_from(["c1", "c2"])))
WITH_SEGMENTS = trees(
    leaves(WINDOWS, st.just("c1")) | st.sampled_from("xy").map(lambda key: {"in_segment": key})
)
ENROLLED = trees(leaves(WINDOWS | SINCE, st.just(KEY) | st.just("c1")))


def store(people):
    EventFactory(contact=None, received_at=NOON)
    EventFactory(contact=None, received_at=NOON - 72 * HOUR)
    source = SourceFactory()
    for person in people:
        contact = Contact.objects.create(
            country=person.country, attributes={} if person.plan is None else {"plan": person.plan}
        )
        person.pk = contact.pk
        for number, deed in enumerate(person.deeds):
            Event.objects.create(
                contact=contact,
                type="track",
                name=deed.name,
                properties={} if deed.item is None else {"item": deed.item},
                source=source,
                message_id=f"{contact.pk}-{number}",
                is_trusted=True,
                is_backfill=deed.is_backfill,
                received_at=deed.received_at,
                occurred_at=deed.occurred_at,
            )
        for at, status in person.consents:
            {"granted": grant, "denied": deny}[status](contact, "email_marketing", at)


@settings(max_examples=150, deadline=None)
@given(
    people=st.lists(PEOPLE, min_size=1, max_size=4),
    data=PLAIN | WITH_SEGMENTS,
    segments=st.fixed_dictionaries({"x": PLAIN, "y": PLAIN}),
    as_of=MOMENTS,
)
def test_contacts_and_explanations_are_those_of_the_reference(people, data, segments, as_of):
    condition = parse(data)
    asked = Question(as_of, segments)

    with transaction.atomic():
        store(people)
        for key, tree in segments.items():
            SegmentFactory(key=key, condition=tree)
        found = set(contacts_matching(condition, as_of=as_of).values_list("pk", flat=True))
        said = {
            person.pk
            for person in people
            if explain(condition, contact_id=person.pk, as_of=as_of).is_met
        }
        transaction.set_rollback(True)

    assert found == {person.pk for person in people if holds(data, person, asked)}
    assert said == found


@settings(max_examples=150, deadline=None)
@given(
    people=st.lists(PEOPLE, min_size=1, max_size=3),
    data=ENROLLED,
    enrollments=st.lists(st.tuples(MOMENTS, st.sampled_from(["c1", "c2", ""])), max_size=3),
    as_of=MOMENTS,
)
def test_enrollments_are_judged_as_the_reference_does(people, data, enrollments, as_of):
    condition = parse(data, allow_enrollment=True)

    with transaction.atomic():
        store(people)
        asked = {
            len(enrollments) * i + j: (person, Question(as_of, {}, since, key))
            for i, person in enumerate(people)
            for j, (since, key) in enumerate(enrollments)
        }
        pairs = [
            Subject(number, person.pk, question.since, question.entry_key)
            for number, (person, question) in asked.items()
        ]
        found = matching_pairs(condition, pairs=pairs, as_of=as_of)
        transaction.set_rollback(True)

    assert found == {number for number, one in asked.items() if holds(data, *one)}
