"""From the inbox to the log: once, in order, and never stuck."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from apps.contacts.models import Contact, Identity
from apps.core import registry as core_registry
from apps.core.pseudonyms import hide_browser
from apps.events import partitions, pipeline, registry, selectors, services
from apps.events.messages import check
from apps.events.models import Event, InboxEvent, RejectedEvent
from apps.events.registry import Batch, Projection
from tests.events.messages import identify, track
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture
def batches(monkeypatch):
    """What projections are given; the real ones rest."""
    seen: list[Batch] = []
    monkeypatch.setattr(registry, "_projections", {})
    registry.register_projection(Projection("test", 1, seen.append))
    return seen


def names() -> list[str]:
    return list(Event.objects.order_by("id").values_list("name", flat=True))


def test_event_is_written_whole(send, source):
    contact = ContactFactory(external_id="u1")

    send(
        track(
            "Cart\tViewed \\ \n now", userId="u1", anonymousId="a\\1", messageId="m1",
            properties={"text": "tab\t, \"quote\", back\\slash, newline\n, ünï", "n": [1.5, None]},
            context={"locale": "en", "cuepost": {"identity": "forged"}},
            timestamp="2026-03-02T10:00:00+01:00", sentAt="2026-03-02T10:00:10+01:00",
        )
    )  # fmt: skip

    event = Event.objects.values().get()
    del event["id"]
    assert event == {
        "contact_id": contact.pk,
        "anonymous_id": hide_browser("a\\1"),
        "type": "track",
        "name": "Cart\tViewed \\ \n now",
        "properties": {"text": 'tab\t, "quote", back\\slash, newline\n, ünï', "n": [1.5, None]},
        "context": {"locale": "en"},
        "source_id": source.pk,
        "message_id": "m1",
        "is_trusted": True,
        "is_backfill": False,
        "received_at": NOON,
        "sent_at": datetime(2026, 3, 2, 9, 0, 10, tzinfo=UTC),
        "original_at": datetime(2026, 3, 2, 9, tzinfo=UTC),
        "occurred_at": NOON - timedelta(seconds=10),
    }
    assert not InboxEvent.objects.exists()


def test_ten_retries_take_effect_once(send, batches):
    message = track(userId="u1", messageId="m1")

    for minute in range(5):
        send(message, message, at=NOON + timedelta(minutes=minute))

    assert names() == ["Product Viewed"]
    assert [len(batch.events) for batch in batches] == [1, 0, 0, 0, 0]
    assert Contact.objects.count() == 1


def test_retry_in_a_later_month_takes_no_effect(send):
    message = track(userId="u1", messageId="m1")
    send(message)

    send(message, at=NOON + timedelta(days=44))

    assert names() == ["Product Viewed"]


def test_a_file_imported_again_after_years_takes_no_effect(send):
    message = track(userId="u1", messageId="m1")
    send(message, is_backfill=True)

    send(message, at=NOON + timedelta(days=800), is_backfill=True)

    assert names() == ["Product Viewed"]


def test_a_repeat_is_looked_for_in_the_last_partitions_only(send):
    for days in range(0, 800, 30):
        partitions.ensure(months={partitions.month_in_utc(NOON - timedelta(days=days))})

    with CaptureQueriesContext(connection) as captured:
        send(track(userId="u1", messageId="m1"))

    (asked,) = (query["sql"] for query in captured if "wanted (source_id" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {asked}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert set(re.findall(r"events_event_\d{4}_\d\d", plan)) >= {"events_event_2026_03"}
    assert "events_event_2025" not in plan


def test_same_message_id_of_another_source_is_another_event(send):
    message = track(userId="u1", messageId="m1")
    send(message)

    send(message, sender=SourceFactory())

    assert names() == ["Product Viewed", "Product Viewed"]


def test_projections_see_the_events_in_order(send, batches):
    send(*(track(f"Step {n}", anonymousId="a1", userId="u1") for n in range(5)), is_backfill=True)

    (batch,) = batches
    assert [event.name for event in batch.events] == [f"Step {n}" for n in range(5)]
    ids = [event.id for event in batch.events]
    assert ids == sorted(ids) == list(Event.objects.order_by("id").values_list("id", flat=True))
    assert {event.contact_id for event in batch.events} == {Contact.objects.get().pk}
    assert all(event.is_backfill for event in batch.events)


def test_limit_leaves_the_rest_for_the_next_turn(send, source):
    messages = [track(f"Step {n}", anonymousId="a1") for n in range(7)]
    services.accept(source=source, is_secret=False, messages=messages, received_at=NOON)

    assert [pipeline.drain(now=NOON, limit=3) for _ in range(4)] == [3, 3, 1, 0]
    assert names() == [f"Step {n}" for n in range(7)]


def test_history_of_thirty_days_follows_who_identifies(send, batches):
    for days in (31, 29, 1):
        at = NOON - timedelta(days=days)
        send(track(f"{days} days ago", anonymousId="a1"), is_secret=False, at=at)

    send(
        track("just before", anonymousId="a1"),
        identify(userId="u1", anonymousId="a1", traits={"email": "ada@example.com"}),
        track("just after", anonymousId="a1"),
    )

    contact = Contact.objects.get()
    batch = batches[-1]
    assert batch.adoptions == {hide_browser("a1"): contact.pk}
    assert [event.name for event in batch.adopted] == ["29 days ago", "1 days ago"]
    assert {event.contact_id for event in batch.all_events()} == {contact.pk}
    theirs = Event.objects.about(contact.pk).order_by("id").values_list("name", flat=True)
    assert list(theirs) == ["29 days ago", "1 days ago", "just before", "", "just after"]


def test_unverified_events_follow_only_the_user_they_named(send):
    ContactFactory(external_id="u1")
    ContactFactory(external_id="u2")
    send(track("as u1", userId="u1", anonymousId="a1"), is_secret=False)
    send(track("as u2", userId="u2", anonymousId="a1"), is_secret=False)
    assert list(Event.objects.order_by("id").values_list("contact", "context")) == [
        (None, {"cuepost": {"identity": "unverified", "user_id": "u1"}}),
        (None, {"cuepost": {"identity": "unverified", "user_id": "u2"}}),
    ]

    send(identify(userId="u1", anonymousId="a1"))

    about = Event.objects.exclude(contact=None).filter(type="track")
    assert list(about.values_list("name", "contact__external_id")) == [("as u1", "u1")]


def test_dropped_traits_are_noted(send):
    send(identify(userId="u1", traits={"country": 7}))

    assert Event.objects.get().context == {"cuepost": {"notes": ["dropped country: not text"]}}


def test_traits_in_the_context_count_as_traits(send):
    send(identify(userId="u1", context={"traits": {"email": "Ada@Example.com", "plan": "gold"}}))

    contact = Contact.objects.get()
    assert (contact.email, contact.attributes) == ("ada@example.com", {"plan": "gold"})


@pytest.mark.parametrize(
    ("told", "occurred_at", "clock"),
    [
        ({}, NOON, None),
        ({"timestamp": "2026-03-02T11:00:00Z"}, NOON - timedelta(hours=1), None),
        ({"timestamp": "2016-03-02T12:00:00Z"}, datetime(2016, 3, 2, 12, tzinfo=UTC), None),
        ({"timestamp": "2026-03-02T12:04:00Z"}, NOON + timedelta(minutes=4), None),
        ({"timestamp": "2026-03-02T12:06:00Z"}, NOON, "future"),
        ({"timestamp": "9999-12-31T23:59:59Z"}, NOON, "future"),
        ({"timestamp": "2031-01-01T00:00:00Z", "sentAt": "2031-01-01T00:01:00Z"},
         NOON - timedelta(minutes=1), None),
        ({"timestamp": "2026-01-01", "sentAt": "0001-01-01"}, NOON, "future"),
        ({"timestamp": "9999-01-01", "sentAt": "0001-01-01"}, NOON, "unreadable"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, NOON, "unreadable"),
        ({"timestamp": "yesterday"}, NOON, "unreadable"),
        ({"timestamp": 1772452800000}, NOON, "unreadable"),
        ({"timestamp": {"a": []}, "sentAt": []}, NOON, "unreadable"),
        ({"timestamp": "2026-03-02T12:00:00Z", "originalTimestamp": "2026-03-02T10:00:00Z"},
         NOON - timedelta(hours=2), None),
    ],
)  # fmt: skip
def test_client_clock_is_corrected_by_ours(send, told, occurred_at, clock):
    send(track(userId="u1", **told))

    event = Event.objects.get()
    assert (event.occurred_at, event.received_at) == (occurred_at, NOON)
    assert event.context.get("cuepost", {}).get("clock") == clock


def test_poison_stands_alone_and_blocks_nobody(send, source, monkeypatch):
    def choke(batch: Batch) -> None:
        if any(event.name == "Poison" for event in batch.all_events()):
            raise KeyError("ada@example.com")

    monkeypatch.setattr(registry, "_projections", {"choke": Projection("choke", 1, choke)})
    messages = [track("Poison" if n == 7 else f"Step {n}", anonymousId="a1") for n in range(20)]
    messages[7]["messageId"] = "bad"

    send(*messages)

    assert names() == [f"Step {n}" for n in range(20) if n != 7]
    rejected = RejectedEvent.objects.get()
    assert (rejected.message_id, rejected.reason, rejected.detail, rejected.source) == (
        "bad", "processing_failed", "KeyError", source,
    )  # fmt: skip
    assert not InboxEvent.objects.exists()

    monkeypatch.setattr(registry, "_projections", {})
    services.replay(rejected=rejected, now=NOON)
    pipeline.drain(now=NOON)

    assert names()[-1] == "Poison"
    assert Event.objects.filter(message_id="bad").count() == 1
    with pytest.raises(services.AlreadyReplayed):
        services.replay(rejected=rejected, now=NOON)


@pytest.fixture
def failed(send, monkeypatch) -> RejectedEvent:
    """Somebody's purchase of old, imported, that the pipeline could not digest."""

    def choke(batch: Batch) -> None:
        raise KeyError(1)

    send(identify(userId="u1", traits={"email": "ada@example.com"}))
    with monkeypatch.context() as patched:
        patched.setattr(registry, "_projections", {"choke": Projection("choke", 1, choke)})
        send(track("Order Completed", userId="u1"), is_backfill=True)
    return RejectedEvent.objects.get()


def test_what_failed_holds_mail_to_its_person_until_it_is_replayed(failed):
    ContactFactory(external_id="u2")
    contact = Contact.objects.get(external_id="u1")
    everybody = list(Contact.objects.values_list("pk", flat=True))

    assert selectors.contacts_with_pending(everybody) == {contact.pk}
    services.replay(rejected=failed, now=NOON)
    assert selectors.contacts_with_pending(everybody) == {contact.pk}
    pipeline.drain(now=NOON)
    assert selectors.contacts_with_pending(everybody) == set()


def test_what_was_refused_at_once_holds_no_mail(source):
    contact = ContactFactory(external_id="u1")
    services.accept(source=source, is_secret=True, messages=[{"userId": "u1"}], received_at=NOON)

    assert RejectedEvent.objects.get().person_keys == []
    assert selectors.contacts_with_pending([contact.pk]) == set()


def test_history_that_failed_is_history_when_it_is_replayed(failed):
    later = NOON + timedelta(hours=5)
    probe = next(one for one in core_registry.probes() if one.name == "inbox")

    services.replay(rejected=failed, now=later)

    assert probe.measure(later + timedelta(seconds=3)) == core_registry.Lag(1, timedelta(seconds=3))
    pipeline.drain(now=later)
    event = Event.objects.get(name="Order Completed")
    assert (event.is_backfill, event.received_at) == (True, NOON)


def test_refused_history_stays_history(source):
    services.accept(source=source, is_secret=True, messages=[7], received_at=NOON, is_backfill=True)

    assert RejectedEvent.objects.get().is_backfill


def test_trouble_of_the_database_is_nobodys_fault(send, source, monkeypatch):
    def deadlock(batch: Batch) -> None:
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(registry, "_projections", {"x": Projection("x", 1, deadlock)})

    with pytest.raises(OperationalError):
        send(track(anonymousId="a1"))

    assert InboxEvent.objects.count() == 1
    assert not RejectedEvent.objects.exists()
    monkeypatch.setattr(registry, "_projections", {})
    assert pipeline.drain(now=NOON) == 1


def test_our_own_events_name_the_contact(send):
    contact = ContactFactory(email=None)

    for _ in range(2):
        services.record_internal(
            name="Email Opened", contact_id=contact.pk, message_id="open-1",
            properties={"message": "x"}, now=NOON,
        )  # fmt: skip
    services.record_internal(
        name="Email Opened", contact_id=contact.pk + 1, message_id="gone", properties={}, now=NOON
    )
    assert list(InboxEvent.objects.values_list("person_keys", flat=True)) == [
        [f"c:{contact.pk}"], [f"c:{contact.pk}"], [f"c:{contact.pk + 1}"],
    ]  # fmt: skip
    pipeline.drain(now=NOON)

    event = Event.objects.exclude(type="dropped").get()
    assert (event.contact, event.name, event.properties) == (
        contact,
        "Email Opened",
        {"message": "x"},
    )


@pytest.mark.parametrize("count", [1, 40])
def test_queries_do_not_grow_with_the_batch(
    send, source, monkeypatch, count, django_assert_num_queries
):
    monkeypatch.setattr(registry, "_projections", {})
    contact = ContactFactory(external_id="u1")
    IdentityFactory(contact=contact, value="a1")
    send(track(userId="u1", anonymousId="a1"))
    messages = [track(userId="u1", anonymousId="a1") for _ in range(count)]
    services.accept(source=source, is_secret=True, messages=messages, received_at=NOON)

    # Busy shards, lock, take, savepoints (4), sources, known, find, states, ids, copy, numbers; and
    # twice the question for the month's partition (3 each), remembered once it is committed.
    with django_assert_num_queries(20):
        pipeline.drain(now=NOON)


def test_idle_turn_takes_one_query(db, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert pipeline.drain(now=NOON) == 0


def test_inbox_shows_its_lag(source):
    services.accept(
        source=source, is_secret=True, messages=[track(userId="u1")] * 2, received_at=NOON
    )
    probe = next(one for one in core_registry.probes() if one.name == "inbox")

    lag = probe.measure(NOON + timedelta(seconds=90))

    assert lag == core_registry.Lag(2, timedelta(seconds=90))


def test_alias_hands_a_browser_over(send):
    send(track("before", anonymousId="a1"))

    send({"type": "alias", "userId": "u1", "previousId": "a1"})

    assert Identity.objects.filter(value=hide_browser("a1")).exists()
    about = Event.objects.exclude(contact=None).order_by("id").values_list("type", flat=True)
    assert list(about) == ["track", "alias"]


@pytest.mark.parametrize("more", [{}, {"anonymousId": "new"}])
def test_alias_waits_in_the_lane_of_the_browser_that_it_hands_over(more):
    alias = {"type": "alias", "userId": "u1", "previousId": "a1", **more}

    assert check(alias).shard == check(track(anonymousId="a1")).shard
