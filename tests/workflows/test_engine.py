import pytest

from apps.messaging.models import Message
from apps.workflows import engine, services
from apps.workflows.models import Enrollment
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


def version(*steps, **changes):
    """A live version with these steps."""
    return WorkflowVersionFactory(definition=make_definition(steps=list(steps), **changes))


def inside(*steps, **changes):
    """Somebody who entered at noon."""
    return EnrollmentFactory(version=version(*steps, **changes))


def templates():
    return list(Message.objects.order_by("id").values_list("template_version__template__key"))


def test_wait_counts_from_the_event_and_not_from_our_look_at_it():
    row = inside({"wait": "1 hour"}, {"send": "hello"})

    engine.advance(now=after(0.5))
    row.refresh_from_db()

    assert (row.pc, row.deadline_at, row.wake_at) == (0, after(1), after(1))
    assert steps_of(row) == [("wait", "wait-1-hour", "")]


def test_wait_ends_at_its_time_and_not_before():
    row = inside({"wait": "1 hour"}, {"send": "hello"})
    advance(NOON)

    assert advance(after(1, minutes=-1)) == 0
    assert advance(after(1)) == 3
    row.refresh_from_db()
    assert (row.status, row.finished_at, row.wake_at) == ("completed", after(1), None)
    assert steps_of(row) == [
        ("wait", "wait-1-hour", ""),
        ("wake", "wait-1-hour", "time"),
        ("send", "send-hello", "hello"),
        ("complete", "", ""),
    ]


def test_a_late_engine_does_not_hurry_the_second_wait():
    inside({"wait": "1 hour"}, {"send": "a"}, {"wait": "1 hour"}, {"send": "b"})

    advance(after(50))

    assert only().deadline_at == after(51)
    assert templates() == [("a",)]


def test_send_asks_for_one_message_with_the_event_that_started_it():
    row = inside({"send": "hello"})
    Enrollment.objects.update(context={"cart_key": "c1"})

    advance(NOON)

    message = Message.objects.get()
    assert message.send_key == (f"workflow:{row.workflow_id}:enrollment:{row.pk}:step:send-hello")
    assert (message.origin_type, message.origin_id, message.step_id, message.context) == (
        "workflow",
        row.pk,
        "send-hello",
        {"cart_key": "c1"},
    )


@pytest.mark.parametrize(
    ("country", "template", "outcome"), [("DE", "a", "yes"), ("FR", "b", "no")]
)
def test_if_takes_the_way_that_holds(country, template, outcome):
    fork = {
        "if": {"attribute": "country", "is": "DE"},
        "then": [{"send": "a"}],
        "else": [{"send": "b"}],
    }
    row = EnrollmentFactory(version=version(fork), contact__country=country)

    advance(NOON)

    assert templates() == [(template,)]
    assert steps_of(row)[0] == ("branch", "if", outcome)


def values_of(row, action):
    """What the decisions of this kind were judged on, oldest first."""
    return list(row.log.filter(action=action).order_by("id").values_list("values", flat=True))


def test_if_keeps_what_each_part_was_judged_on():
    ordered = {"did": "Order Completed", "at_least": 2, "within": "30 days"}
    fork = {"if": {"all": [{"attribute": "country", "is": "DE"}, ordered]}, "then": [{"send": "a"}]}
    row = EnrollmentFactory(version=version(fork), contact__country="FR")
    happen(row.contact, "Order Completed", after(-1))

    advance(NOON)

    (values,) = values_of(row, "branch")
    country, order = values["parts"]
    assert values["condition"].startswith("country is “DE”")
    assert values["is_met"] is False
    assert (country["is_met"], country["value"]) == (False, "FR")
    assert (order["is_met"], order["count"], order["last_at"]) == (
        False,
        1,
        after(-1).isoformat(),
    )


def test_if_judges_everybody_by_their_own_values():
    shared = version({"if": {"attribute": "country", "is": "DE"}, "then": [{"send": "a"}]})
    rows = [EnrollmentFactory(version=shared, contact__country=name) for name in ("DE", "FR")]

    advance(NOON)

    found = [(one["is_met"], one["value"]) for row in rows for one in values_of(row, "branch")]
    assert found == [(True, "DE"), (False, "FR")]


def test_exit_leaves_with_the_author_s_reason():
    row = inside({"exit": "not for them"}, {"send": "a"})

    advance(NOON)

    row.refresh_from_db()
    assert (row.status, row.exit_reason, row.exit_values) == (
        "exited",
        "exit_step",
        {"reason": "not for them"},
    )
    assert templates() == []


def test_exit_condition_is_asked_before_anybody_moves():
    condition = {"did": "Order Completed", "within": "since_enrollment"}
    leaving = inside({"send": "a"}, exit_when=condition)
    staying = EnrollmentFactory(version=leaving.version)
    happen(leaving.contact, "Order Completed", after(minutes=5))

    advance(after(minutes=6))

    leaving.refresh_from_db()
    assert (leaving.status, leaving.exit_reason) == ("exited", "exit_condition")
    assert leaving.exit_values["event"] == "Order Completed"
    assert leaving.exit_values["count"] == 1
    assert steps_of(leaving) == [("exit", "send-a", "exit_condition")]
    assert list(Message.objects.values_list("contact_id")) == [(staying.contact_id,)]


WAIT_UNTIL = {
    "wait_until": {"event": "Email Clicked"},
    "at_most": "2 days",
    "then": [{"send": "clicked"}],
    "else": [{"send": "quiet"}],
}


def test_wait_until_goes_the_way_of_the_event():
    row = inside(WAIT_UNTIL)
    advance(NOON)

    project(happen(row.contact, "Email Clicked", after(3)))
    advance(after(3))

    assert templates() == [("clicked",)]


def test_wait_until_goes_the_other_way_when_time_is_up():
    row = inside(WAIT_UNTIL)
    advance(NOON)
    assert only().waiting_for == "Email Clicked"

    advance(after(48))
    project(happen(row.contact, "Email Clicked", after(48, minutes=1)))
    advance(after(49))

    assert templates() == [("quiet",)]


@pytest.mark.parametrize(("at", "template"), [(47.9, "clicked"), (48.1, "quiet")])
def test_event_and_time_both_due_take_exactly_one_way(at, template):
    row = inside(WAIT_UNTIL)
    advance(NOON)

    project(happen(row.contact, "Email Clicked", after(at), received_at=after(60)))
    advance(after(60))

    assert templates() == [(template,)]


def test_wait_until_sees_an_event_that_came_before_the_engine_looked():
    row = inside(WAIT_UNTIL)
    clicked = happen(row.contact, "Email Clicked", after(1))
    project(clicked)

    advance(after(2))

    assert templates() == [("clicked",)]
    assert values_of(row, "wake") == [
        {
            "event": "Email Clicked",
            "occurred_at": after(1).isoformat(),
            "message_id": clicked.message_id,
        }
    ]


@pytest.mark.parametrize(("basket", "template"), [("b1", "clicked"), ("b2", "quiet")])
@pytest.mark.parametrize("is_engine_late", [True, False])
def test_wait_until_an_event_of_the_same_key_hears_no_other(basket, template, is_engine_late):
    what = {"event": "Email Clicked", "same_key": True}
    row = inside({**WAIT_UNTIL, "wait_until": what}, entry_key="properties.basket")
    Enrollment.objects.update(entry_key="b1")
    if not is_engine_late:
        advance(NOON)

    project(happen(row.contact, "Email Clicked", after(1), basket=basket))
    advance(after(2))
    advance(after(48))

    assert templates() == [(template,)]


def test_wait_until_ignores_an_event_from_before_the_wait():
    row = inside(WAIT_UNTIL)
    advance(NOON)

    project(happen(row.contact, "Email Clicked", after(-1)), now=after(1))

    assert only().pc == 0


CONDITION = {
    "wait_until": {"condition": {"attribute": "country", "is": "DE"}},
    "at_most": "2 days",
    "then": [{"send": "there"}],
    "else": [{"send": "never"}],
}


def test_wait_until_a_condition_asks_at_once_again_by_itself_and_at_the_end():
    row = inside(CONDITION)
    advance(NOON)
    assert only().wake_at == after(1)

    row.contact.country = "DE"
    row.contact.save()
    advance(after(1))

    assert templates() == [("there",)]
    assert values_of(row, "wake") == [
        {"condition": "country is “DE”", "is_met": True, "value": "DE"}
    ]


def test_wait_until_a_condition_asks_when_an_event_comes():
    row = inside(CONDITION)
    advance(NOON)
    row.contact.country = "DE"
    row.contact.save()

    project(happen(row.contact, "Anything", after(0.2)))
    advance(after(0.2))

    assert templates() == [("there",)]


def test_wait_until_a_condition_ends_with_the_time():
    row = inside(CONDITION)
    for hours in range(49):
        advance(after(hours))

    assert templates() == [("never",)]
    assert values_of(row, "wake") == [
        {"condition": "country is “DE”", "is_met": False, "value": ""}
    ]


def test_nobody_moves_while_paused_and_everybody_after():
    row = inside({"send": "a"})
    services.pause(workflow=row.workflow)

    assert advance(after(1)) == 0

    services.resume(workflow=row.workflow)
    advance(after(2))
    assert templates() == [("a",)]


def test_limit_bounds_a_turn_and_the_oldest_go_first():
    row = inside({"send": "a"})
    late = EnrollmentFactory(version=row.version, entered_at=after(1))

    engine.advance(now=after(2), limit=1)

    late.refresh_from_db()
    assert (late.status, only_message().origin_id) == ("live", row.pk)


def only_message():
    return Message.objects.get()


def test_enrollments_keep_their_own_version():
    old = inside({"wait": "1 hour"}, {"send": "old"})
    advance(NOON)
    new = services.save_definition(
        source=make_definition(key=old.workflow.key, steps=[{"exit": "at once"}]), now=NOON
    )
    old.workflow.live_version = new
    old.workflow.save()

    advance(after(1))

    assert templates() == [("old",)]


@pytest.mark.parametrize("count", [3, 30])
def test_queries_do_not_grow_with_people(count, django_assert_num_queries):
    fork = {"if": {"did": "A"}, "then": [{"send": "a"}], "else": [{"wait": "1 hour"}]}
    shared = version({"send": "hello"}, fork, exit_when={"did": "B", "within": "since_enrollment"})
    people = ContactFactory.create_batch(count)
    for contact in people:
        EnrollmentFactory(version=shared, contact=contact)
    happen(people[0], "A", NOON)

    with django_assert_num_queries(QUERIES):
        engine.advance(now=after(0.1))

    assert Message.objects.count() == count + 1


# Savepoint and its release, claim, versions (twice), exits, branch, templates, messages, moves,
# log.
QUERIES = 11
