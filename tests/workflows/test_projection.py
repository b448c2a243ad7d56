import pytest

from apps.workflows import projection, services
from apps.workflows.models import Enrollment, EntryRefusal
from tests.factories.contacts import ContactFactory
from tests.factories.workflows import (
    EnrollmentFactory,
    WorkflowVersionFactory,
    make_definition,
    steps_of,
)
from tests.instants import NOON
from tests.workflows.passing import advance, after, happen, only, project

pytestmark = pytest.mark.django_db

QUIET = {"wait": "1 hour", "restart_on_trigger": True}
ORDERED = {"did": "Order Completed", "within": "since_enrollment"}


def live(*steps, **changes):
    """A live workflow that waits for an hour of quiet, then sends."""
    steps = list(steps) or [QUIET, {"send": "hello"}]
    return WorkflowVersionFactory(definition=make_definition(steps=steps, **changes))


def refusals():
    return list(EntryRefusal.objects.values_list("reason", "values__rule"))


def test_a_trigger_lets_the_contact_in():
    version = live(entry_key="cart")
    contact = ContactFactory()

    project(happen(contact, cart="c1", price=5), now=after(minutes=2))

    row = only()
    assert (row.version, row.contact, row.entry_key) == (version, contact, "c1")
    assert (row.started_at, row.entered_at, row.wake_at) == (NOON, after(minutes=2), NOON)
    assert row.context == {
        "event": {
            "name": "Product Added",
            "properties": {"price": 5},
            "occurred_at": NOON.isoformat(),
        },
        "cart_key": "c1",
    }
    assert steps_of(row) == [("enter", "", "Product Added")]


@pytest.mark.parametrize(
    ("name", "properties", "count"),
    [
        ("Product Added", {"category": "shoes"}, 1),
        ("Product Added", {"category": "hats"}, 0),
        ("Product Viewed", {"category": "shoes"}, 0),
        ("Checkout Started", {}, 1),
    ],
)
def test_only_a_matching_event_triggers(name, properties, count):
    where = [{"property": "category", "is": "shoes"}]
    live(trigger=[{"event": "Product Added", "where": where}, {"event": "Checkout Started"}])

    project(happen(ContactFactory(), name, **properties))

    assert Enrollment.objects.count() == count


def test_history_and_strangers_start_nothing():
    live()
    stranger = happen(ContactFactory())
    stranger.contact_id = None

    project(stranger, happen(ContactFactory(), is_backfill=True))

    assert not Enrollment.objects.exists()


def test_an_event_from_the_future_starts_the_wait_now():
    live()

    project(happen(ContactFactory(), at=after(0.1), received_at=NOON))

    assert (only().started_at, only().wake_at) == (NOON, NOON)


def test_a_draft_starts_nothing_and_leaves_no_trace():
    version = live()
    version.workflow.status = "draft"
    version.workflow.save()

    project(happen(ContactFactory()))

    assert (Enrollment.objects.count(), refusals()) == (0, [])


@pytest.mark.parametrize(
    ("changes", "event", "reason"),
    [
        ({}, {"received_at": after(25)}, "too_old"),
        ({"entry_key": "cart"}, {}, "no_entry_key"),
        ({"entry_key": "properties.order.id"}, {"order": "x"}, "no_entry_key"),
    ],
)
def test_a_refusal_is_kept_with_its_reason(changes, event, reason):
    live(**changes)

    project(happen(ContactFactory(), **event))

    assert Enrollment.objects.count() == 0
    assert refusals() == [(reason, None)]


def test_a_paused_workflow_refuses_and_says_so():
    services.pause(workflow=live().workflow)

    project(happen(ContactFactory()))

    assert refusals() == [("paused", None)]


@pytest.mark.parametrize(
    ("properties", "key"),
    [
        ({"order": {"id": "o-1"}}, "o-1"),
        ({"order": {"id": 7}}, "7"),
        ({"order": {"id": True}}, None),
    ],
)
def test_entry_key_is_read_from_a_property(properties, key):
    live(entry_key="properties.order.id")

    project(happen(ContactFactory(), **properties))

    assert list(Enrollment.objects.values_list("entry_key", flat=True)) == ([key] if key else [])


# --- restart ------------------------------------------------------------------------------------


def test_a_trigger_begins_the_wait_anew_with_a_fresh_context():
    live()
    contact = ContactFactory()
    project(happen(contact, price=1))
    advance(NOON)

    project(happen(contact, at=after(0.5), price=2))

    row = only()
    assert (row.wake_at, row.deadline_at, row.restart_count) == (after(1.5), after(1.5), 1)
    assert row.context["event"]["properties"] == {"price": 2}
    assert steps_of(row)[-1] == ("restart", "wait-1-hour", "Product Added")
    assert row.started_at == NOON


def test_several_triggers_in_one_batch_make_one_enrollment_that_waits_from_the_last():
    live()
    contact = ContactFactory()

    project(happen(contact), happen(contact, at=after(0.5), price=2), now=after(0.6))
    advance(after(0.6))

    row = only()
    assert (row.started_at, row.deadline_at, row.restart_count) == (NOON, after(1.5), 1)
    assert row.context["event"]["properties"] == {"price": 2}


def test_a_restart_before_the_engine_has_looked_counts_too():
    live()
    contact = ContactFactory()
    project(happen(contact))
    project(happen(contact, at=after(0.5)))

    advance(after(0.6))

    assert only().deadline_at == after(1.5)


def test_an_older_event_never_shortens_the_wait():
    live()
    contact = ContactFactory()
    project(happen(contact, at=after(0.5)))
    advance(after(0.5))

    project(happen(contact, at=NOON, received_at=after(0.6)))

    assert (only().deadline_at, only().restart_count) == (after(1.5), 0)


def test_other_waits_and_other_keys_are_left_alone():
    live({"wait": "1 hour"}, {"send": "a"}, entry_key="cart")
    contact = ContactFactory()
    project(happen(contact, cart="c1"))
    advance(NOON)

    project(happen(contact, at=after(0.5), cart="c1"))

    assert only().deadline_at == after(1)


def test_restarts_come_to_an_end(monkeypatch):
    monkeypatch.setattr(projection, "MAX_RESTARTS", 2)
    live()
    contact = ContactFactory()
    for number in range(5):
        project(happen(contact, at=after(minutes=number)))
        advance(after(minutes=number))

    assert (only().restart_count, only().deadline_at) == (2, after(1, minutes=2))


# --- side by side and again ---------------------------------------------------------------------


def test_two_carts_of_one_person_go_side_by_side():
    live(entry_key="cart")
    contact = ContactFactory()

    project(happen(contact, cart="c1"), happen(contact, cart="c2"))
    project(happen(contact, at=after(0.1), cart="c1"))

    assert sorted(Enrollment.objects.values_list("entry_key", flat=True)) == ["c1", "c2"]


def pass_through(contact, cart="c1"):
    """Enter at noon and be through an hour later."""
    project(happen(contact, cart=cart))
    advance(NOON)
    advance(after(1))


@pytest.mark.parametrize(
    ("rule", "cart", "at", "count"),
    [
        ("always", "c1", 2, 2),
        ("never", "c2", 2, 1),
        ("once_per_key", "c1", 2, 1),
        ("once_per_key", "c2", 2, 2),
        ({"after": "7 days"}, "c2", 24 * 7, 1),
        ({"after": "7 days"}, "c2", 24 * 7 + 1, 2),
        ({"again": "once_per_key", "after": "7 days"}, "c1", 24 * 7, 1),
        ({"again": "once_per_key", "after": "7 days"}, "c1", 24 * 7 + 1, 2),
        ({"again": "once_per_key", "after": "7 days"}, "c2", 2, 2),
    ],
)
def test_re_entry_rules(rule, cart, at, count):
    live(entry_key="cart", re_entry=rule)
    contact = ContactFactory()
    pass_through(contact)

    project(happen(contact, at=after(at), cart=cart))

    assert Enrollment.objects.count() == count
    assert [reason for reason, _ in refusals()] == ["re_entry"] * (2 - count)


def test_leaving_early_does_not_count_for_the_time_between():
    live(re_entry={"after": "7 days"}, exit_when=ORDERED)
    contact = ContactFactory()
    project(happen(contact))
    project(happen(contact, "Order Completed", after(0.5)))

    project(happen(contact, at=after(2)))

    assert list(Enrollment.objects.order_by("id").values_list("status", flat=True)) == [
        "exited",
        "live",
    ]


# --- leave --------------------------------------------------------------------------------------


def test_an_order_ends_it_at_once_in_the_middle_of_a_wait():
    live(exit_when=ORDERED)
    contact, other = ContactFactory.create_batch(2)
    project(happen(contact), happen(other))
    advance(NOON)

    project(happen(contact, "Order Completed", after(0.5)))

    row = Enrollment.objects.get(contact=contact)
    assert (row.status, row.exit_reason, row.finished_at) == (
        "exited",
        "exit_condition",
        after(0.5),
    )
    assert row.exit_values["event"] == "Order Completed"
    assert Enrollment.objects.get(contact=other).status == "live"


def test_an_order_for_another_cart_does_not_end_it():
    where = [{"property": "cart_id", "is": {"var": "entry_key"}}]
    live(entry_key="cart", exit_when={**ORDERED, "where": where})
    contact = ContactFactory()
    project(happen(contact, cart="c1"), happen(contact, cart="c2"))

    project(happen(contact, "Order Completed", after(0.5), cart_id="c2"))

    states = Enrollment.objects.order_by("entry_key").values_list("entry_key", "status")
    assert list(states) == [("c1", "live"), ("c2", "exited")]


def test_the_reason_to_leave_cites_the_event_that_it_is_about():
    where = [{"property": "order_id", "is": {"var": "entry_key"}}]
    refunded = {"did": "Order Refunded", "where": where, "within": "since_enrollment"}
    live({"wait": "3 days"}, {"send": "a"}, entry_key="properties.order_id", exit_when=refunded)
    contact = ContactFactory()
    project(*(happen(contact, order_id=name) for name in ("A", "B", "C")))
    before = happen(contact, "Order Refunded", after(-1), order_id="A")
    meant = happen(contact, "Order Refunded", after(1), order_id="A")
    also_meant = happen(contact, "Order Refunded", after(1.5), order_id="B")
    other = happen(contact, "Order Refunded", after(2), order_id="Z")

    project(meant, also_meant, other, now=after(2))

    left = Enrollment.objects.filter(status="exited").order_by("entry_key")
    cited = [(row.entry_key, row.exit_values["message_id"]) for row in left]
    assert cited == [("A", meant.message_id), ("B", also_meant.message_id)]
    assert [row.exit_values["count"] for row in left] == [1, 1]
    assert before.message_id not in str([row.exit_values for row in left])


def test_the_reason_to_leave_cites_no_event_where_its_absence_or_a_fact_is_the_reason():
    quiet = {"did_not": "Product Viewed", "within": "1 day"}
    live(exit_when={"any": [{"attribute": "country", "is": "DE"}, quiet]})
    contact = ContactFactory(country="DE")
    happen(contact, "Product Viewed", after(-1))

    project(happen(contact))

    values = only().exit_values
    assert "event" not in values
    assert [part["is_met"] for part in values["parts"]] == [True, False]
    assert values["parts"][0]["value"] == "DE"


def test_an_order_in_the_same_batch_lets_in_and_out_again():
    live(exit_when=ORDERED)
    contact = ContactFactory()

    project(happen(contact), happen(contact, "Order Completed", after(0.1)))

    assert [line[0] for line in steps_of(only())] == ["enter", "exit"]


def test_what_follows_an_order_in_the_same_batch_starts_anew():
    live(exit_when=ORDERED)
    contact = ContactFactory()

    project(
        happen(contact),
        happen(contact, "Order Completed", after(0.1)),
        happen(contact, at=after(0.2)),
    )

    rows = Enrollment.objects.order_by("id")
    assert list(rows.values_list("status", "started_at")) == [
        ("exited", NOON),
        ("live", after(0.2)),
    ]


def test_an_order_that_we_hear_of_late_ends_it_whatever_its_own_clock_says():
    live(exit_when=ORDERED)
    contact = ContactFactory()
    project(happen(contact))

    project(happen(contact, "Order Completed", after(-1), received_at=after(0.5)))

    assert only().status == "exited"


# --- wake ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cart", "code", "pc"), [("c1", 1, 1), ("c2", 1, 0), ("c1", 2, 0)])
def test_a_wait_ends_with_its_event_for_the_same_key_and_filter(cart, code, pc):
    what = {
        "event": "Coupon Applied",
        "same_key": True,
        "where": [{"property": "code", "is": 1}],
    }
    live({"wait_until": what, "at_most": "1 day", "then": [{"send": "a"}]}, entry_key="cart")
    contact = ContactFactory()
    project(happen(contact, cart="c1"))
    advance(NOON)

    project(happen(contact, "Coupon Applied", after(1), cart=cart, code=code))

    assert only().pc == pc


# --- cost ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 30])
def test_queries_do_not_grow_with_events(count, django_assert_num_queries):
    version = live(exit_when=ORDERED, re_entry="never")
    people = ContactFactory.create_batch(count)
    for contact in people:
        EnrollmentFactory(version=version, contact=contact)
    events = [happen(contact, "Order Completed", after(0.1)) for contact in people]
    events += [happen(contact, at=after(0.1)) for contact in ContactFactory.create_batch(count)]

    with django_assert_num_queries(QUERIES):
        project(*events)

    assert Enrollment.objects.live().count() == count


# Savepoint and its release, doors, versions (three times), who is inside; exits, what they are
# judged on, their events, leaving and its log; who is restricted, re-entry, entering, its log,
# exits once more.
QUERIES = 17
