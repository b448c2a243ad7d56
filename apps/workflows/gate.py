"""The workflow's word at the point of no return: switched on, still inside, still true, in time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.messaging.models import Message
from apps.messaging.registry import Verdict
from apps.workflows import exits, plan, store
from apps.workflows.models import EXIT_STEP, Enrollment, Workflow

ALLOWED = Verdict(is_allowed=True)
TOO_SOON = "too_soon"

# Between two mails of one passage so much less than planned goes unnoticed; a mail takes a moment.
TOLERANCE = timedelta(seconds=30)

WAITING = {Message.Status.QUEUED, Message.Status.CLAIMED, Message.Status.SENDING}
# What never reached anybody keeps nobody waiting.
UNSENT = [Message.Status.SKIPPED, Message.Status.FAILED]


def ask(messages: Sequence[Message], now: datetime) -> dict[int, Verdict]:
    """Judge the messages that workflows asked for; a completed enrollment may still send.

    The exit condition is asked here once more, on everything that has been processed until
    now, also for somebody whose last step is done while the mail still waits.
    """
    ours = [message for message in messages if message.origin_type == "workflow"]
    if not ours:
        return {}
    rows = Enrollment.objects.filter(pk__in={message.origin_id for message in ours})
    enrollments = {row.pk: row for row in rows.select_related("workflow").defer("context")}
    reasons = _exit_reasons(list(enrollments.values()), now)
    holds = _too_soon(ours, now)
    return {
        message.pk: _judge(enrollments.get(message.origin_id), reasons, holds.get(message.pk))
        for message in ours
    }


def _judge(
    row: Enrollment | None, reasons: dict[int, dict[str, Any]], hold: Verdict | None
) -> Verdict:
    if row is None:
        return Verdict(is_allowed=False, reason="enrollment_gone")
    if row.pk in reasons:
        return Verdict(is_allowed=False, reason=exits.REASON, values=reasons[row.pk])
    if row.status == Enrollment.Status.EXITED and row.exit_reason != EXIT_STEP:
        return Verdict(is_allowed=False, reason=row.exit_reason, values=row.exit_values)
    if row.workflow.status != Workflow.Status.LIVE:
        values = {"workflow": row.workflow.key, "status": row.workflow.status}
        return Verdict(is_allowed=False, reason="workflow_paused", values=values, is_final=False)
    return hold or ALLOWED


# --- the distance between two mails ---------------------------------------------------------------


def _too_soon(messages: Sequence[Message], now: datetime) -> dict[int, Verdict]:
    """Those that would follow too close on an earlier mail of the same passage, which was late.

    A wait counts from when a mail was asked for. Where that mail had to wait itself, because a
    server was down or the workflow paused, the next one keeps its planned distance all the same.
    """
    earlier: dict[int, list[Message]] = defaultdict(list)
    for message in _siblings(messages):
        earlier[message.origin_id].append(message)
    holds = {}
    for message in messages:
        asked = (_distance(message, other, now) for other in earlier[message.origin_id])
        found = [verdict for verdict in asked if verdict is not None]
        if found:
            holds[message.pk] = max(found, key=lambda verdict: verdict.hold_until or now)
    return holds


def _siblings(messages: Sequence[Message]) -> Iterable[Message]:
    rows = Message.objects.filter(
        origin_type="workflow", origin_id__in={message.origin_id for message in messages}
    )
    return rows.exclude(status__in=UNSENT).only(
        "origin_id", "step_id", "status", "queued_at", "gated_at", "sent_at"
    )


def _distance(message: Message, earlier: Message, now: datetime) -> Verdict | None:
    """What the earlier mail asks of this one; nothing where both were asked for at once."""
    planned = message.queued_at - earlier.queued_at
    if planned <= timedelta(0):
        return None
    values = {
        "earlier_step": earlier.step_id,
        "earlier_status": earlier.status,
        "minutes_planned": round(planned / timedelta(minutes=1), 1),
    }
    if earlier.status in WAITING:
        return Verdict(is_allowed=False, reason=TOO_SOON, values=values, is_final=False)
    # Where its fate is unknown it may have left when it passed the gate.
    left_at = earlier.sent_at or earlier.gated_at or earlier.queued_at
    may_go_at = left_at + planned
    if now >= may_go_at - min(TOLERANCE, planned / 10):
        return None
    values |= {"earlier_sent_at": left_at.isoformat(), "may_go_at": may_go_at.isoformat()}
    return Verdict(
        is_allowed=False, reason=TOO_SOON, values=values, is_final=False, hold_until=may_go_at
    )


# --- the reason to leave --------------------------------------------------------------------------


def _exit_reasons(rows: list[Enrollment], now: datetime) -> dict[int, dict[str, Any]]:
    """Ask the exit conditions; whoever is still inside leaves on the spot."""
    groups: dict[int, list[Enrollment]] = defaultdict(list)
    for row in rows:
        groups[row.version_id].append(row)
    plans = plan.load(groups.keys())
    reasons: dict[int, dict[str, Any]] = {}
    for version_id, group in sorted(groups.items()):
        reasons |= exits.find_exits(plans[version_id], group, now=now)
    live = {row.pk for row in rows if row.status == Enrollment.Status.LIVE}
    leaving = {pk: values for pk, values in reasons.items() if pk in live}
    store.leave(leaving, reason=exits.REASON, now=now)
    return reasons
