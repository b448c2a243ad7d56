"""The tracking plan: what events may hold, what comes of it if they don't, and what is learned."""

import json
from datetime import timedelta

import pytest

from apps.consent.models import ConsentState
from apps.contacts.models import Contact
from apps.events import definitions, lanes, pipeline, selectors, services
from apps.events.models import (
    Event,
    EventCount,
    EventDefinition,
    EventViolation,
    InboxEvent,
    RejectedEvent,
)
from tests.events.messages import consent, track
from tests.factories.contacts import ContactFactory
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

VIEWED = "Product Viewed"
WRONG = {"product_id": "p1", "price": "ada@example.com"}


@pytest.fixture
def choose():
    def change(name=VIEWED, **fields):
        EventDefinition.objects.filter(name=name).update(**fields)
        definitions.forget()

    return change


def viewed(properties=None, **fields):
    return track(VIEWED, properties=WRONG if properties is None else properties, **fields)


def violations():
    rows = EventViolation.objects.order_by("id")
    return [(row.definition.name, row.property, row.reason, row.count) for row in rows]


# --- the rules ----------------------------------------------------------------------------------


def test_the_events_of_the_specification_are_there_and_come_back():
    built_in = EventDefinition.objects.filter(origin="built_in")
    EventDefinition.objects.filter(name="Cart Viewed").delete()
    EventDefinition.objects.filter(name=VIEWED).update(choice="reject")

    definitions.install()
    lanes.install()

    assert built_in.count() == 28
    keys = dict(built_in.exclude(natural_key="").values_list("name", "natural_key"))
    assert keys == {
        "Checkout Started": "checkout_id",
        "Order Cancelled": "order_id",
        "Order Completed": "order_id",
    }
    assert built_in.get(name=VIEWED).choice == "reject"


def test_an_accepted_event_takes_effect_and_its_mistake_is_counted(send):
    send(viewed(userId="u1"), viewed(userId="u1"), viewed({"price": 3}, userId="u1"))
    send(viewed({"quantity": []}, userId="u1"), viewed(userId="u1"))

    assert Event.objects.filter(type="track").count() == 5
    assert not RejectedEvent.objects.exists()
    assert violations() == [
        (VIEWED, "price", "wrong_type", 3),
        (VIEWED, "quantity", "wrong_type", 1),
    ]
    assert Event.objects.first().context == {}


def test_samples_say_where_and_hold_no_value(send):
    send(*[viewed(userId="u1") for _ in range(5)])
    send(viewed(userId="u1"))

    row = EventViolation.objects.get()
    first = list(Event.objects.order_by("id").values_list("id", flat=True)[:3])
    assert row.samples == [{"event": pk, "found": "text of 15 characters"} for pk in first]
    assert row.day == NOON.date()
    assert "ada" not in json.dumps(row.samples)


def test_each_day_counts_for_itself(send):
    send(viewed(userId="u1"))
    send(viewed(userId="u1"), at=NOON + timedelta(days=1))

    assert EventViolation.objects.values_list("day", "count").order_by("day").first() == (
        NOON.date(),
        1,
    )
    assert EventViolation.objects.count() == 2


def test_a_flagged_event_says_what_is_wrong(send, choose):
    choose(choice="flag")

    send(viewed(userId="u1"))

    assert Event.objects.get().context["cuepost"] == {
        "violations": ["price: wrong_type: text of 15 characters"]
    }


def test_a_rejected_event_takes_no_effect_and_makes_nobody(send, choose):
    choose("Order Completed", choice="reject")

    send(track("Order Completed", userId="u1", anonymousId="a1", messageId="m1", properties={}))

    assert not Event.objects.exists()
    assert not Contact.objects.exists()
    rejected = RejectedEvent.objects.get()
    assert (rejected.reason, rejected.detail, rejected.message_id) == (
        "schema_violated",
        "order_id: missing",
        "m1",
    )
    assert EventViolation.objects.get().samples == [{"rejected": rejected.pk, "found": ""}]
    assert rejected.person_keys[0] == "u:u1"


def test_a_rejected_event_holds_no_mail(send, choose):
    contact = ContactFactory(external_id="u1")
    choose(choice="reject")

    send(viewed(userId="u1"))

    assert RejectedEvent.objects.exists()
    assert selectors.contacts_with_pending([contact.pk]) == set()


def test_what_a_rejected_event_says_about_consent_counts(send, choose):
    contact = ContactFactory(external_id="u1")
    choose(choice="reject")

    send(viewed(userId="u1", context=consent(email_marketing=False)))

    assert not Event.objects.exists()
    state = ConsentState.objects.get(contact=contact, purpose_id="email_marketing")
    assert state.status == "denied"


def test_the_rest_of_a_batch_takes_effect(send, choose):
    choose(choice="reject")

    send(
        viewed(userId="u1", messageId="m1"),
        viewed({"price": 1}, userId="u1", messageId="m2"),
        track("Cart Viewed", userId="u1", messageId="m3"),
    )

    assert list(Event.objects.order_by("id").values_list("message_id", flat=True)) == ["m2", "m3"]


def test_a_rejected_event_is_replayed_once_the_rules_are_mended(send, choose):
    choose(choice="reject")
    send(viewed(userId="u1", messageId="m1"))
    rejected = RejectedEvent.objects.get()

    services.replay(rejected=rejected, now=NOON)
    pipeline.drain(now=NOON)
    assert (RejectedEvent.objects.count(), Event.objects.count()) == (2, 0)

    choose(schema={})
    services.replay(rejected=RejectedEvent.objects.latest("id"), now=NOON)
    pipeline.drain(now=NOON)

    assert Event.objects.get().message_id == "m1"
    assert not InboxEvent.objects.exists()


def test_rules_that_only_the_library_knows_are_kept(send, choose):
    choose(schema={"properties": {"price": {"type": "number", "exclusiveMinimum": 0}}})

    send(viewed({"price": 0}, userId="u1"), viewed({"price": 1}, userId="u1"))

    assert violations() == [(VIEWED, "price", "out_of_range", 1)]


def test_rules_that_can_not_be_used_check_nothing(send, choose):
    choose(schema={"type": "no such type", "not": 7}, choice="reject")

    send(viewed(userId="u1"))

    assert Event.objects.count() == 1


def test_our_own_events_and_dropped_ones_are_not_checked(send):
    contact = ContactFactory()
    services.record_internal(
        name=VIEWED, contact_id=contact.pk, message_id="x", properties=WRONG, now=NOON
    )
    send(viewed(userId="u1", context=consent(tracking=False)))

    assert violations() == []


# --- what is learned ----------------------------------------------------------------------------


def test_an_unknown_event_becomes_a_definition_with_what_it_held(send, source):
    send(
        track("Quiz Finished", userId="u1", properties={"score": 3, "tags": ["a"], "won": True}),
        track(
            "Quiz Finished", userId="u1", properties={"score": "3", "extra": {"a": 1}, "n": None}
        ),
    )

    learned = EventDefinition.objects.get(name="Quiz Finished")
    assert (learned.origin, learned.source, learned.schema, learned.choice) == (
        "learned",
        source,
        {},
        "accept",
    )
    assert learned.seen_properties == {
        "score": ["number", "text"],
        "tags": ["list"],
        "won": ["yes/no"],
        "extra": ["object"],
    }
    assert (learned.first_seen_at, learned.last_seen_at) == (NOON, NOON)


def test_known_events_learn_properties_and_when_they_came(send):
    send(track(VIEWED, userId="u1", properties={"color": "red"}))
    send(track(VIEWED, userId="u1", properties={"size": 7}), at=NOON + timedelta(minutes=10))
    send(track(VIEWED, userId="u1"), at=NOON + timedelta(hours=2))

    known = EventDefinition.objects.get(name=VIEWED)
    assert known.seen_properties == {"color": ["text"], "size": ["number"]}
    assert (known.first_seen_at, known.last_seen_at) == (NOON, NOON + timedelta(hours=2))


def test_garbage_can_not_fill_the_plan(send, source, monkeypatch):
    monkeypatch.setattr(definitions, "MAX_NAMES_PER_SOURCE", 5)
    monkeypatch.setattr(definitions, "MAX_PROPERTIES", 4)
    before = EventDefinition.objects.count()

    send(*[track(f"Name {number}", userId="u1") for number in range(30)])
    send(*[track(f"More {number}", userId="u1") for number in range(30)])
    send(track("Name 1", userId="u1", properties={f"p{number}": 1 for number in range(50)}))

    assert EventDefinition.objects.count() == before + 5
    assert len(EventDefinition.objects.get(name="Name 1").seen_properties) == 4
    assert Event.objects.count() == 61
    unnamed = EventCount.objects.get(type="track", name="")
    assert unnamed.event_count == 55


@pytest.mark.parametrize(
    "name", ["Bought by ada@example.com", "Order 4711234", "deadbeefdeadbeef", "A\x01B"]
)
def test_what_may_name_a_person_is_not_learned(send, name):
    send(track(name, userId="u1", properties={"ada@example.com": 1, "ok": 2}))
    send(track("Fine", userId="u1", properties={"ada@example.com": 1, "ok": 2}))

    assert not EventDefinition.objects.filter(name=name).exists()
    assert EventDefinition.objects.get(name="Fine").seen_properties == {"ok": ["number"]}


def test_what_is_known_asks_the_database_for_nothing(send, django_assert_num_queries):
    send(track(VIEWED, userId="u1", properties={"price": 1}))
    shape = definitions.Seen(VIEWED, 1, {"price": 2})
    definitions._keep([(VIEWED, ("price",), (int,))])
    definitions.plan()

    with django_assert_num_queries(0):
        definitions.learn([shape, shape], now=NOON)


def test_another_source_has_room_of_its_own(send, monkeypatch):
    monkeypatch.setattr(definitions, "MAX_NAMES_PER_SOURCE", 1)
    other = SourceFactory()

    send(track("One", userId="u1"), track("Two", userId="u1"))
    send(track("Three", userId="u1"), sender=other)

    learned = EventDefinition.objects.filter(origin="learned").order_by("name")
    assert [row.name for row in learned] == ["One", "Three"]
