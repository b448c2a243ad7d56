"""Everything that the engine and the projection write, many rows a statement."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from apps.workflows.models import Enrollment, EntryRefusal


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of an enrollment's log."""

    enrollment_id: int
    action: str
    step_id: str = ""
    outcome: str = ""
    values: dict[str, Any] = field(default_factory=dict)


MOVE = """
    UPDATE workflows_enrollment AS enrollment
    SET pc = new.pc, wake_at = new.wake_at, deadline_at = new.deadline_at,
        waiting_for = new.waiting_for, status = new.status, finished_at = new.finished_at,
        exit_reason = new.exit_reason, exit_values = new.exit_values::jsonb,
        restart_count = new.restart_count,
        context = coalesce(new.context::jsonb, enrollment.context)
    FROM unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::text[],
                %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::int[], %s::text[])
        AS new (id, pc, wake_at, deadline_at, waiting_for, status, finished_at, exit_reason,
                exit_values, restart_count, context)
    WHERE enrollment.id = new.id
"""


def write_moves(enrollments: Sequence[Enrollment], *, with_context: bool = False) -> None:
    """Store where these enrollments now are; the caller holds their rows."""
    if not enrollments:
        return
    rows = [
        (
            row.pk,
            row.pc,
            row.wake_at,
            row.deadline_at,
            row.waiting_for,
            row.status,
            row.finished_at,
            row.exit_reason,
            _json(row.exit_values),
            row.restart_count,
            _json(row.context) if with_context else None,
        )
        for row in enrollments
    ]
    with connection.cursor() as cursor:
        cursor.execute(MOVE, [list(column) for column in zip(*rows, strict=True)])


LOG = """
    INSERT INTO workflows_steplog (enrollment_id, action, step_id, outcome, values, logged_at)
    SELECT *, %s::timestamptz
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::jsonb[])
"""


def write_log(rows: Sequence[LogRow], *, now: datetime) -> None:
    """Append to the log, in the order given."""
    if not rows:
        return
    columns = [
        [row.enrollment_id for row in rows],
        [row.action for row in rows],
        [row.step_id for row in rows],
        [row.outcome[:60] for row in rows],
        [_json(row.values) for row in rows],
    ]
    with connection.cursor() as cursor:
        cursor.execute(LOG, [now, *columns])


ENTER = """
    INSERT INTO workflows_enrollment (
        workflow_id, version_id, contact_id, entry_key, context, status, pc, wake_at, waiting_for,
        restart_count, started_at, entered_at, exit_reason, exit_values
    )
    SELECT workflow_id, version_id, contact_id, entry_key, context, 'live', 0, wake_at, '',
           restart_count, started_at, %s, '', '{}'
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::jsonb[],
                %s::timestamptz[], %s::int[], %s::timestamptz[])
        AS new (workflow_id, version_id, contact_id, entry_key, context, wake_at, restart_count,
                started_at)
    ON CONFLICT (workflow_id, contact_id, entry_key) WHERE status = 'live' DO NOTHING
    RETURNING id, workflow_id, contact_id, entry_key
"""

Entry = tuple[int, int, str]
"""Workflow, contact and entry key: what only one live enrollment may have."""


def entry_of(enrollment: Enrollment) -> Entry:
    return enrollment.workflow_id, enrollment.contact_id, enrollment.entry_key


def enter(enrollments: Sequence[Enrollment], *, now: datetime) -> list[Enrollment]:
    """Insert those that are not inside already, and give them their ids."""
    if not enrollments:
        return []
    # Sorted, so that two workers that let the same people in wait for each other in turn.
    rows = [
        (
            row.workflow_id,
            row.version_id,
            row.contact_id,
            row.entry_key,
            _json(row.context),
            row.wake_at,
            row.restart_count,
            row.started_at,
        )
        for row in sorted(enrollments, key=entry_of)
    ]
    with connection.cursor() as cursor:
        cursor.execute(ENTER, [now, *(list(column) for column in zip(*rows, strict=True))])
        ids = {(workflow, contact, key): pk for pk, workflow, contact, key in cursor.fetchall()}
    for row in enrollments:
        row.pk = ids.get(entry_of(row))
    return [row for row in enrollments if row.pk is not None]


LEAVE = """
    WITH leaving AS (
        SELECT enrollment.id, new.values
        FROM workflows_enrollment AS enrollment
        JOIN unnest(%s::bigint[], %s::jsonb[]) AS new (id, values) ON new.id = enrollment.id
        WHERE enrollment.status = 'live'
        ORDER BY enrollment.id
        FOR UPDATE OF enrollment
    )
    UPDATE workflows_enrollment AS enrollment
    SET status = 'exited', exit_reason = %s, exit_values = leaving.values, finished_at = %s,
        wake_at = NULL, deadline_at = NULL, waiting_for = ''
    FROM leaving
    WHERE enrollment.id = leaving.id
    RETURNING enrollment.id
"""


def leave(values: Mapping[int, dict[str, Any]], *, reason: str, now: datetime) -> set[int]:
    """Exit these enrollments, each with its values; those already out stay as they are."""
    if not values:
        return set()
    with connection.cursor() as cursor:
        columns = [list(values), [_json(value) for value in values.values()]]
        cursor.execute(LEAVE, [*columns, reason, now])
        left = {pk for (pk,) in cursor.fetchall()}
    write_log(
        [LogRow(pk, "exit", outcome=reason, values=values[pk]) for pk in sorted(left)], now=now
    )
    return left


def refuse(refusals: Sequence[EntryRefusal]) -> None:
    """Keep why these events started nothing."""
    EntryRefusal.objects.bulk_create(refusals)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)
