"""Who has a reason to leave, and what that reason was judged on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.events.models import Event
from apps.segments import compiler as segments
from apps.segments.conditions import Condition, describe
from apps.workflows.models import Enrollment
from apps.workflows.plan import Plan

REASON = "exit_condition"

# An event's own clock may run ahead of ours by so much.
CLOCK_SLACK = timedelta(minutes=10)


def meeting(condition: Condition, enrollments: Sequence[Enrollment], *, now: datetime) -> set[int]:
    """The enrollments for which the condition holds; one query for them all."""
    if not enrollments:
        return set()
    pairs = [
        segments.Subject(
            key=row.pk, contact_id=row.contact_id, since=row.started_at, entry_key=row.entry_key
        )
        for row in enrollments
    ]
    # Everything that has been processed counts, also what came in while we were busy.
    seen_until = now + CLOCK_SLACK
    return segments.matching_pairs(condition, pairs=pairs, as_of=now, seen_until=seen_until)


def find_exits(
    plan: Plan, enrollments: Sequence[Enrollment], *, now: datetime
) -> dict[int, dict[str, Any]]:
    """Those whose exit condition holds, each with the values that say why."""
    condition = plan.definition.exit_when
    if condition is None:
        return {}
    met = meeting(condition, enrollments, now=now)
    leaving = [row for row in enrollments if row.pk in met]
    return _values(plan, condition, leaving) if leaving else {}


def _values(
    plan: Plan, condition: Condition, leaving: Sequence[Enrollment]
) -> dict[int, dict[str, Any]]:
    since = min(row.started_at for row in leaving)
    contacts = [row.contact_id for row in leaving]
    events = Event.objects.filter(
        contact_id__in=contacts,
        name__in=plan.exit_events,
        received_at__gte=since - CLOCK_SLACK,
    )
    newest = events.order_by("contact_id", "-occurred_at", "-id").distinct("contact_id")
    seen = {
        contact_id: {"event": name, "occurred_at": at.isoformat(), "message_id": message_id}
        for contact_id, name, at, message_id in newest.values_list(
            "contact_id", "name", "occurred_at", "message_id"
        )
    }
    sentence = describe(condition)
    return {row.pk: {"condition": sentence, **seen.get(row.contact_id, {})} for row in leaving}
