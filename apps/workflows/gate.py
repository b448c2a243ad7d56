"""The workflow's word at the point of no return: still switched on, still inside, still true."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apps.messaging.models import Message
from apps.messaging.registry import Verdict
from apps.workflows import exits, plan, store
from apps.workflows.models import EXIT_STEP, Enrollment, Workflow

ALLOWED = Verdict(is_allowed=True)


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
    return {message.pk: _judge(enrollments.get(message.origin_id), reasons) for message in ours}


def _judge(row: Enrollment | None, reasons: dict[int, dict[str, Any]]) -> Verdict:
    if row is None:
        return Verdict(is_allowed=False, reason="enrollment_gone")
    if row.pk in reasons:
        return Verdict(is_allowed=False, reason=exits.REASON, values=reasons[row.pk])
    if row.status == Enrollment.Status.EXITED and row.exit_reason != EXIT_STEP:
        return Verdict(is_allowed=False, reason=row.exit_reason, values=row.exit_values)
    if row.workflow.status != Workflow.Status.LIVE:
        values = {"workflow": row.workflow.key, "status": row.workflow.status}
        return Verdict(is_allowed=False, reason="workflow_paused", values=values, is_final=False)
    return ALLOWED


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
