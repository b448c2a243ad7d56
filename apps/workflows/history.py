"""Events that came before the engine began to wait for them."""

from datetime import datetime, timedelta
from typing import Any

from apps.events.models import Event
from apps.events.registry import ProcessedEvent
from apps.workflows.compiler import Instruction
from apps.workflows.exits import CLOCK_SLACK
from apps.workflows.models import Enrollment
from apps.workflows.plan import Plan


def find_awaited(
    plan: Plan, step: Instruction, rows: list[Enrollment], since: dict[int, datetime]
) -> dict[int, dict[str, Any]]:
    """Of those who arrive late at a wait, the ones whose event is in the log already, and which."""
    if not rows:
        return {}
    by_contact: dict[int, list[Enrollment]] = {}
    for row in rows:
        by_contact.setdefault(row.contact_id, []).append(row)
    events = Event.objects.filter(
        contact_id__in=by_contact,
        name=step["event"],
        received_at__gte=min(since.values()) - CLOCK_SLACK,
    ).exclude(type=Event.Type.DUPLICATE)
    found: dict[int, dict[str, Any]] = {}
    for event in map(_processed, events.order_by("id")):
        for row in by_contact[event.contact_id or 0]:
            if event.occurred_at >= since[row.pk] and is_awaited(plan, step, row, event):
                found.setdefault(row.pk, cite(event))
    return found


def cite(event: ProcessedEvent) -> dict[str, Any]:
    """An event as the reason of a decision."""
    return {
        "event": event.name,
        "occurred_at": event.occurred_at.isoformat(),
        "message_id": event.message_id,
    }


def is_awaited(plan: Plan, step: Instruction, row: Enrollment, event: ProcessedEvent) -> bool:
    """Whether this event ends the wait: the right one, about the same thing, and in time."""
    if step.get("event") != event.name or row.deadline_at is None:
        return False
    began = row.deadline_at - timedelta(seconds=step["seconds"])
    if event.occurred_at > row.deadline_at or max(event.occurred_at, event.received_at) < began:
        return False
    if step["same_key"] and plan.entry_key(event) != row.entry_key:
        return False
    return plan.filters[step["id"]].matches(event)


def _processed(event: Event) -> ProcessedEvent:
    return ProcessedEvent(
        id=event.pk,
        contact_id=event.contact_id,
        anonymous_id=event.anonymous_id,
        type=event.type,
        name=event.name,
        properties=event.properties,
        context=event.context,
        source_id=event.source_id,
        message_id=event.message_id,
        is_trusted=event.is_trusted,
        is_backfill=event.is_backfill,
        received_at=event.received_at,
        occurred_at=event.occurred_at,
    )
