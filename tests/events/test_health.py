"""The day's numbers: counted by the pipeline, told on a page, alarming where they should."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from apps.events import definitions, health, services, tasks
from apps.events.health import Drop, is_drop
from apps.events.models import (
    EventCount,
    EventDefinition,
    EventViolation,
    NaturalKey,
)
from tests.events.messages import consent, identify, track
from tests.factories.accounts import StaffFactory
from tests.factories.contacts import ContactFactory
from tests.factories.events import RejectedEventFactory, SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

TODAY = date(2026, 3, 2)  # a Monday
YESTERDAY = TODAY - timedelta(days=1)
HEALTH = "admin:events_eventdefinition_health"


def back(days):
    return TODAY - timedelta(days=days)


def numbers(**where):
    row = EventCount.objects.get(**where)
    return {
        field.name.removesuffix("_count"): value
        for field in EventCount._meta.concrete_fields
        if field.name.endswith("_count") and (value := getattr(row, field.name))
    }


def lay(source, name="Order Completed", *, type="track", **days):
    """So many events of that many days ago, as d8=30."""
    EventCount.objects.bulk_create(
        EventCount(
            day=back(int(ago[1:])), source=source, type=type, name=name, event_count=count,
            last_at=datetime.combine(back(int(ago[1:])), datetime.min.time(), UTC),
        )
        for ago, count in days.items()
    )  # fmt: skip


# --- what the pipeline counts -------------------------------------------------------------------


def test_the_pipeline_adds_up_what_came(send, source):
    ContactFactory(external_id="u1")
    campaign = {"context": {"campaign": {"source": "ads"}, **consent(tracking=True)}}

    send(track(userId="u1", messageId="m1"), track(anonymousId="a1", timestamp="2026-03-01"))
    send(track(userId="u1", messageId="m1"), track(userId="u1", properties={"price": "x"}))
    send({"type": "page", "name": "Home", "anonymousId": "a1", **campaign}, is_secret=False)
    send(track(anonymousId="a1", context=consent(tracking=False)), is_secret=False)

    assert numbers(type="track", name="Product Viewed") == {
        "event": 3, "identified": 2, "server": 3, "late": 1, "violation": 1,
    }  # fmt: skip
    assert numbers(type="page") == {"event": 1, "campaign": 1, "allowed": 1}
    assert numbers(type="repeat") == {"event": 1}
    assert numbers(type="dropped") == {"event": 1, "refused": 1}
    row = EventCount.objects.get(type="page")
    assert (row.day, row.source, row.name, row.last_at) == (TODAY, source, "", NOON)


def test_both_sides_of_an_order_are_told_apart(send):
    def order(number):
        return track(
            "Order Completed", userId="u1", anonymousId="a1", properties={"order_id": number}
        )

    send(identify(userId="u1", anonymousId="a1"))
    send(order("o1"), order("o2"), order("o5"), is_secret=False)
    send(order("o1"), order("o3"), order("o1"))
    send(order("o3"), is_secret=False)

    assert numbers(type="track", name="Order Completed")["browser_key"] == 3
    (overlap,) = health.read(NOON).overlaps
    assert (overlap.name, overlap.total, overlap.both) == ("Order Completed", 4, 2)
    assert (overlap.only_browser, overlap.only_server, overlap.share) == (2, 0, 50)


def test_history_is_not_late(send):
    send(track(userId="u1", timestamp="2025-03-01T00:00:00Z"), is_backfill=True)

    assert numbers(type="track") == {"event": 1, "identified": 1, "server": 1}


def test_what_the_plan_rejects_is_counted_by_itself(send):
    EventDefinition.objects.filter(name="Product Viewed").update(choice="reject")
    definitions.forget()

    send(track(userId="u1", properties={"price": "x"}))

    assert numbers(type="rejected", name="Product Viewed") == {"event": 1, "violation": 1}
    assert not EventCount.objects.filter(type="track").exists()


def test_our_own_events_are_not_counted(send):
    contact = ContactFactory()
    services.record_internal(
        name="Email Opened", contact_id=contact.pk, message_id="x", properties={}, now=NOON
    )
    send()

    assert not EventCount.objects.exists()


def test_each_day_has_numbers_of_its_own(send):
    send(track(userId="u1"))
    send(track(userId="u1"), at=NOON + timedelta(days=1))

    assert list(EventCount.objects.values_list("day", "event_count").order_by("day")) == [
        (TODAY, 1),
        (TODAY + timedelta(days=1), 1),
    ]


# --- alarms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "before", "is_alarm"),
    [
        (100, [100, 100], False),
        (49, [100, 100], True),
        (50, [100, 100], False),
        (0, [10, 10], True),
        (0, [9, 12], False),
        (40, [200, 50], False),
        (0, [0, 500], False),
    ],
)
def test_a_drop_is_large_and_no_chance(count, before, is_alarm):
    assert is_drop(count, before) is is_alarm


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=4), st.integers(0, 10_000))
def test_there_is_no_alarm_while_it_is_at_least_half_of_any_such_day(before, count):
    if count * 2 >= min(before):
        assert not is_drop(count, before)


def test_a_silent_drop_is_found_against_the_same_weekdays(source):
    lay(source, d29=100, d22=110, d15=90, d8=120, d1=20)
    lay(source, "Quiet On Sundays", d8=0, d15=0, d22=0, d1=0, d2=500, d9=500)
    lay(source, "New", d8=100, d1=0)
    lay(source, "Fine", d8=100, d15=100, d1=80)

    assert health.read(NOON).drops == [Drop("Order Completed", YESTERDAY, 20, 110)]


def test_an_event_that_came_no_more_at_all_has_dropped(source):
    lay(source, d8=100, d15=100)

    assert [drop.count for drop in health.read(NOON).drops] == [0]


def test_weeks_before_the_first_event_do_not_count(source):
    lay(source, d10=50, d8=100, d1=0)

    assert health.read(NOON).drops == []


@pytest.mark.parametrize(("a_day", "has_stopped"), [(7, True), (6, False)])
def test_a_source_that_was_busy_and_is_silent_has_stopped(source, a_day, has_stopped):
    lay(source, **{f"d{ago}": a_day for ago in range(2, 10)})

    (state,) = health.read(NOON).sources

    assert (state.has_stopped, state.silence) == (has_stopped, "2 days")


def test_a_source_that_was_heard_today_or_is_off_is_no_alarm(source):
    off = SourceFactory(is_active=False)
    for one in (source, off):
        lay(one, **{f"d{ago}": 50 for ago in range(2, 10)})
    lay(source, d0=1)

    assert health.read(NOON).stopped == []


def test_the_index_tells_the_alarms(client, source):
    lay(source, **{f"d{ago}": 50 for ago in range(2, 30)})

    labels = [finding.label for finding in health.report(NOON)]

    assert labels == ["Fewer “Order Completed” than usual", f"{source.name} is silent"]


# --- the page -----------------------------------------------------------------------------------


@pytest.fixture
def staff(client):
    client.force_login(StaffFactory(is_superuser=True))
    return client


def test_an_empty_page_says_what_to_do(staff):
    content = staff.get(reverse(HEALTH)).content.decode()

    assert "No events yet" in content
    assert "Look at the sources" in content


def test_the_page_shows_the_numbers(staff, send):
    from django.utils import timezone

    now = timezone.now()
    send(identify(userId="u1", anonymousId="a1"), at=now)
    send(track(userId="u1", properties={"price": "x"}), at=now)
    send({"type": "page", "anonymousId": "a1"}, is_secret=False, at=now)
    send(track("Order Completed", userId="u1", properties={"order_id": "o1"}), at=now)
    RejectedEventFactory(rejected_at=now)

    content = staff.get(reverse(HEALTH)).content.decode()

    assert "Nothing has dropped, no source has stopped." in content
    assert "“price” is of the wrong kind" in content
    assert "It named nobody" in content
    assert "Order Completed: 1" in content
    assert "Page views" in content


def test_the_page_costs_the_same_for_one_name_and_for_many(staff, source):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(reverse(HEALTH)).status_code == 200
        return len(queries)

    services_now = datetime.now(UTC)
    row = {"source": source, "type": "track", "event_count": 5, "last_at": services_now}
    EventCount.objects.create(day=services_now.date(), name="One", **row)
    first = cost()
    EventCount.objects.bulk_create(
        EventCount(day=services_now.date() - timedelta(days=ago), name=f"N{number}", **row)
        for number in range(60)
        for ago in range(30)
    )

    assert cost() == first <= 12


def test_who_may_not_see_the_plan_sees_no_numbers(client):
    client.force_login(StaffFactory())

    assert client.get(reverse(HEALTH)).status_code == 403


# --- what is let go -----------------------------------------------------------------------------


def test_old_numbers_are_let_go(send, source):
    lay(source, d500=1, d10=1)
    send(track("Order Completed", userId="u1", properties={}), at=NOON - timedelta(days=95))
    send(track("Order Completed", userId="u1", properties={"order_id": 1}))
    NaturalKey.objects.update(received_at=NOON - timedelta(days=50))

    services.drop_numbers(now=NOON)

    assert not NaturalKey.objects.exists()
    assert not EventViolation.objects.exists()
    assert EventCount.objects.filter(day=back(10)).exists()
    assert not EventCount.objects.filter(day=back(500)).exists()


def test_beat_lets_them_go(source):
    lay(source, d500=1)

    tasks.drop_numbers()

    assert not EventCount.objects.exists()
