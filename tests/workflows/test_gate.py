from datetime import timedelta

import pytest

from apps.consent.models import ConsentRecord
from apps.messaging.models import Message
from apps.messaging.registry import Verdict
from apps.workflows import gate, services
from apps.workflows.models import Enrollment
from tests.factories.consent import grant
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


DAY = timedelta(days=1)


def second_mail(status, planned=DAY, **fate):
    """The second mail of a passage, asked for that long after the first; `fate` is the first's."""
    row = sent()
    Message.objects.all().delete()
    shared = {"origin_type": "workflow", "origin_id": row.pk, "contact": row.contact}
    MessageFactory(
        **shared,
        step_id="first",
        status=status,
        reason="why",
        lease_until=NOON,
        consent_record=grant(row.contact, "email_marketing", NOON),
        **fate,
    )
    return MessageFactory(**shared, step_id="second", queued_at=NOON + planned)


def ask_at(message, now):
    (verdict,) = gate.ask([message], now).values()
    return verdict


def test_a_mail_keeps_its_distance_from_one_that_was_late():
    second = second_mail("sent", sent_at=after(20))

    assert ask_at(second, after(24)) == Verdict(
        is_allowed=False,
        reason="too_soon",
        values={
            "earlier_step": "first",
            "earlier_status": "sent",
            "minutes_planned": 1440.0,
            "earlier_sent_at": after(20).isoformat(),
            "may_go_at": after(44).isoformat(),
        },
        is_final=False,
        hold_until=after(44),
    )
    assert ask_at(second, after(44, minutes=-1)).reason == "too_soon"
    assert ask_at(second, after(44)) == Verdict(is_allowed=True)


@pytest.mark.parametrize("planned", [timedelta(minutes=2), DAY])
def test_the_moment_that_a_mail_takes_to_leave_holds_nothing_back(planned):
    second = second_mail("delivered", planned, sent_at=NOON + timedelta(seconds=10))

    assert ask_at(second, NOON + planned) == Verdict(is_allowed=True)


@pytest.mark.parametrize("status", ["queued", "claimed", "sending"])
def test_a_mail_waits_for_the_one_before(status):
    second = second_mail(status)

    assert ask_at(second, after(30)) == Verdict(
        is_allowed=False,
        reason="too_soon",
        values={"earlier_step": "first", "earlier_status": status, "minutes_planned": 1440.0},
        is_final=False,
    )


@pytest.mark.parametrize("status", ["skipped", "failed"])
def test_a_mail_that_never_left_holds_nothing_back(status):
    second = second_mail(status, gated_at=after(24))

    assert ask_at(second, after(24)) == Verdict(is_allowed=True)


def test_a_mail_in_doubt_may_have_left_when_it_passed_the_gate():
    second = second_mail("in_doubt", gated_at=after(20))

    assert ask_at(second, after(24)).hold_until == after(44)


def test_two_mails_that_were_asked_for_at_once_do_not_wait_for_one_another():
    assert ask_at(second_mail("queued", timedelta(0)), NOON) == Verdict(is_allowed=True)


def test_of_several_the_latest_moment_counts():
    second = second_mail("sent", sent_at=after(20))
    third = MessageFactory(
        origin_type="workflow",
        origin_id=second.origin_id,
        contact=second.contact,
        queued_at=NOON + 2 * DAY,
    )
    Message.objects.filter(pk=second.pk).update(
        status="sent", sent_at=after(44), consent_record=ConsentRecord.objects.get()
    )

    assert ask_at(third, after(48)).hold_until == after(68)


def test_other_mail_is_none_of_our_business():
    assert gate.ask([MessageFactory()], NOON) == {}


def test_a_batch_is_judged_in_one_set(django_assert_num_queries):
    rows = [sent({"wait": "1 day"})]
    rows += [EnrollmentFactory(version=rows[0].version) for _ in range(5)]
    mails = [message(row) for row in rows]

    with django_assert_num_queries(QUERIES):
        verdicts = gate.ask(mails, after(1))

    assert list(verdicts.values()) == [Verdict(is_allowed=True)] * 6


# Enrollments, the version's time, the exit condition, the mails before.
QUERIES = 4
