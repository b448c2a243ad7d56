"""Who has a reason to leave, and what that reason was judged on."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.events.models import Event
from apps.segments import compiler as segments
from apps.segments.compiler import Finding, Subject
from apps.segments.conditions import Condition, Did, matches_event
from apps.segments.references import walk
from apps.workflows.models import Enrollment
from apps.workflows.plan import Plan

REASON = "exit_condition"

# An event's own clock may run ahead of ours by so much.
CLOCK_SLACK = timedelta(minutes=10)


def judge(
    condition: Condition, enrollments: Sequence[Enrollment], *, now: datetime
) -> dict[int, Finding]:
    """Whether the condition holds for each enrollment, and what that was judged on; one query."""
    return segments.explain_pairs(
        condition, pairs=_pairs(enrollments), as_of=now, seen_until=now + CLOCK_SLACK
    )


def find_exits(
    plan: Plan, enrollments: Sequence[Enrollment], *, now: datetime
) -> dict[int, dict[str, Any]]:
    """Those whose exit condition holds, each with the values that say why."""
    condition = plan.definition.exit_when
    if condition is None or not enrollments:
        return {}
    # Everything that has been processed counts, also what came in while we were busy. Nearly
    # everybody stays: only for those who leave it is measured why.
    met = segments.matching_pairs(
        condition, pairs=_pairs(enrollments), as_of=now, seen_until=now + CLOCK_SLACK
    )
    leaving = [row for row in enrollments if row.pk in met]
    return _values(plan, condition, leaving, now) if leaving else {}


def _pairs(enrollments: Iterable[Enrollment]) -> list[Subject]:
    return [
        Subject(
            key=row.pk, contact_id=row.contact_id, since=row.started_at, entry_key=row.entry_key
        )
        for row in enrollments
    ]


def _values(
    plan: Plan, condition: Condition, leaving: Sequence[Enrollment], now: datetime
) -> dict[int, dict[str, Any]]:
    findings = judge(condition, leaving, now=now)
    reasons = [part for part in walk(condition) if isinstance(part, Did) and part.at_least]
    events = _newest_first(plan, leaving) if reasons else {}
    return {
        row.pk: {**findings[row.pk].as_values(), **_cited(row, reasons, events)}
        for row in leaving
        if row.pk in findings
    }


def _newest_first(plan: Plan, leaving: Sequence[Enrollment]) -> dict[int | None, list[Event]]:
    """What the leaving contacts have done since they entered, of what the condition asks about."""
    rows = Event.objects.filter(
        contact_id__in={row.contact_id for row in leaving},
        type="track",
        name__in=plan.exit_events,
        received_at__gte=min(row.started_at for row in leaving) - CLOCK_SLACK,
    ).defer("context")
    events: dict[int | None, list[Event]] = {}
    for event in rows.order_by("-occurred_at", "-id"):
        events.setdefault(event.contact_id, []).append(event)
    return events


def _cited(
    row: Enrollment, reasons: Sequence[Did], events: dict[int | None, list[Event]]
) -> dict[str, Any]:
    """The newest event that the condition speaks of, for this enrollment and what it is about."""
    for event in events.get(row.contact_id, ()):
        if any(_is_meant(reason, event, row) for reason in reasons):
            return {
                "event": event.name,
                "occurred_at": event.occurred_at.isoformat(),
                "message_id": event.message_id,
            }
    return {}


def _is_meant(reason: Did, event: Event, row: Enrollment) -> bool:
    heard_at = event.occurred_at
    if not event.is_backfill:
        heard_at = max(event.occurred_at, event.received_at)
    return (
        event.name == reason.event
        and heard_at >= row.started_at
        and matches_event(reason, event.properties, entry_key=row.entry_key)
    )
