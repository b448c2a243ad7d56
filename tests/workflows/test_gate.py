import pytest

from apps.messaging.registry import Verdict
from apps.workflows import gate, services
from apps.workflows.models import Enrollment
from tests.factories.messaging import MessageFactory
from tests.factories.workflows import (
    EnrollmentFactory,
    WorkflowVersionFactory,
    make_definition,
    steps_of,
)
from tests.instants import NOON
from tests.workflows.passing import advance, after, happen

pytestmark = pytest.mark.django_db

ORDERED = {"did": "Order Completed", "within": "since_enrollment"}


def sent(*steps, **changes):
    """An enrollment whose only mail waits at the gate."""
    data = make_definition(steps=[{"send": "hello"}, *steps], exit_when=ORDERED, **changes)
    row = EnrollmentFactory(version=WorkflowVersionFactory(definition=data))
    advance(NOON)
    row.refresh_from_db()
    return row


def message(row):
    return MessageFactory(origin_type="workflow", origin_id=row.pk, contact=row.contact)


def ask(row):
    """The gate's answer for a message of this enrollment."""
    (verdict,) = gate.ask([message(row)], after(1)).values()
    return verdict


def test_a_live_enrollment_may_send():
    assert ask(sent({"wait": "1 day"})) == Verdict(is_allowed=True)


def test_a_completed_enrollment_may_send():
    assert ask(sent()) == Verdict(is_allowed=True)


def test_leaving_by_the_workflow_s_own_step_does_not_stop_the_mail_before_it():
    assert ask(sent({"exit": "enough"})) == Verdict(is_allowed=True)


@pytest.mark.parametrize("steps", [[], [{"wait": "1 day"}]])
def test_an_exit_condition_that_came_true_refuses_for_good(steps):
    row = sent(*steps)
    happen(row.contact, "Order Completed", after(0.5))

    verdict = ask(row)

    assert (verdict.is_allowed, verdict.reason, verdict.is_final) == (
        False,
        "exit_condition",
        True,
    )
    assert verdict.values["event"] == "Order Completed"


@pytest.mark.parametrize("minutes", [1, 5])
def test_an_exit_event_counts_though_its_clock_is_ahead_of_ours(minutes):
    row = sent()
    happen(row.contact, "Order Completed", after(1, minutes=minutes), received_at=after(1))

    assert ask(row).reason == "exit_condition"


def test_an_enrollment_whose_exit_condition_came_true_at_the_gate_leaves():
    row = sent({"wait": "1 day"})
    happen(row.contact, "Order Completed", after(0.5))

    ask(row)

    row.refresh_from_db()
    assert (row.status, row.exit_reason) == ("exited", "exit_condition")
    assert steps_of(row)[-1] == ("exit", "", "exit_condition")


def test_an_enrollment_that_has_left_refuses_with_its_reason():
    row = sent({"wait": "1 day"})
    services.exit_enrollments(ids=[row.pk], now=NOON, values={"by": "staff"})

    assert ask(row) == Verdict(is_allowed=False, reason="manual", values={"by": "staff"})


def test_a_paused_workflow_holds_the_mail_back():
    row = sent()
    services.pause(workflow=row.workflow)

    assert ask(row) == Verdict(
        is_allowed=False,
        reason="workflow_paused",
        values={"workflow": row.workflow.key, "status": "paused"},
        is_final=False,
    )


def test_a_mail_without_its_enrollment_is_refused():
    row = sent()
    mail = message(row)
    Enrollment.objects.all().delete()

    assert gate.ask([mail], NOON) == {mail.pk: Verdict(is_allowed=False, reason="enrollment_gone")}


def test_other_mail_is_none_of_our_business():
    assert gate.ask([MessageFactory()], NOON) == {}


def test_a_batch_is_judged_in_one_set(django_assert_num_queries):
    rows = [sent({"wait": "1 day"})]
    rows += [EnrollmentFactory(version=rows[0].version) for _ in range(5)]
    mails = [message(row) for row in rows]

    with django_assert_num_queries(QUERIES):
        verdicts = gate.ask(mails, after(1))

    assert list(verdicts.values()) == [Verdict(is_allowed=True)] * 6


# Enrollments, the version's time, the exit condition.
QUERIES = 3
