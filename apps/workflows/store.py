"""Everything that the engine and the projection write, many rows a statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from apps.workflows.models import Enrollment, EntryRefusal

_encode = msgspec.json.Encoder().encode


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
        exit_reason = new.exit_reason, exit_values = new.exit_values,
        restart_count = new.restart_count, context = coalesce(new.context, enrollment.context)
    FROM json_to_recordset(%s::json) AS new (
        id bigint, pc int, wake_at timestamptz, deadline_at timestamptz, waiting_for text,
        status text, finished_at timestamptz, exit_reason text, exit_values jsonb,
        restart_count int, context jsonb
    )
    WHERE enrollment.id = new.id
"""


def write_moves(enrollments: Sequence[Enrollment], *, with_context: bool = False) -> None:
    """Store where these enrollments now are; the caller holds their rows."""
    rows = [
        {
            "id": row.pk,
            "pc": row.pc,
            "wake_at": row.wake_at,
            "deadline_at": row.deadline_at,
            "waiting_for": row.waiting_for,
            "status": row.status,
            "finished_at": row.finished_at,
            "exit_reason": row.exit_reason,
            "exit_values": row.exit_values,
            "restart_count": row.restart_count,
            "context": row.context if with_context else None,
        }
        for row in enrollments
    ]
    _execute(MOVE, rows)


LOG = """
    INSERT INTO workflows_steplog (enrollment_id, action, step_id, outcome, values, logged_at)
    SELECT enrollment_id, action, step_id, outcome, values, %s
    FROM json_to_recordset(%s::json)
        AS new (enrollment_id bigint, action text, step_id text, outcome text, values jsonb)
"""


def write_log(rows: Sequence[LogRow], *, now: datetime) -> None:
    """Append to the log, in the order given."""
    lines = [
        {
            "enrollment_id": row.enrollment_id,
            "action": row.action,
            "step_id": row.step_id,
            "outcome": row.outcome[:60],
            "values": row.values,
        }
        for row in rows
    ]
    _execute(LOG, lines, now)


ENTER = """
    INSERT INTO workflows_enrollment (
        workflow_id, version_id, contact_id, entry_key, context, status, pc, wake_at, waiting_for,
        restart_count, started_at, entered_at, exit_reason, exit_values
    )
    SELECT workflow_id, version_id, contact_id, entry_key, context, 'live', 0, wake_at, '',
           restart_count, started_at, %s, '', '{}'
    FROM json_to_recordset(%s::json) AS new (
        workflow_id bigint, version_id bigint, contact_id bigint, entry_key text, context jsonb,
        wake_at timestamptz, restart_count int, started_at timestamptz
    )
    ON CONFLICT (workflow_id, contact_id, entry_key) WHERE status = 'live' DO NOTHING
    RETURNING id, workflow_id, contact_id, entry_key
"""

Entry = tuple[int, int, str]
"""Workflow, contact and entry key: what only one live enrollment may have."""


def entry_of(enrollment: Enrollment) -> Entry:
    return enrollment.workflow_id, enrollment.contact_id, enrollment.entry_key


def enter(enrollments: Sequence[Enrollment], *, now: datetime) -> list[Enrollment]:
    """Insert those that are not inside already, and give them their ids."""
    # Sorted, so that two workers that let the same people in wait for each other in turn.
    rows = [
        {
            "workflow_id": row.workflow_id,
            "version_id": row.version_id,
            "contact_id": row.contact_id,
            "entry_key": row.entry_key,
            "context": row.context,
            "wake_at": row.wake_at,
            "restart_count": row.restart_count,
            "started_at": row.started_at,
        }
        for row in sorted(enrollments, key=entry_of)
    ]
    entered = _execute(ENTER, rows, now)
    ids = {(workflow_id, contact_id, key): pk for pk, workflow_id, contact_id, key in entered}
    for row in enrollments:
        row.pk = ids.get(entry_of(row))
    return [row for row in enrollments if row.pk is not None]


LEAVE = """
    UPDATE workflows_enrollment AS enrollment
    SET status = 'exited', exit_reason = %s, exit_values = leaving.values, finished_at = %s,
        wake_at = NULL, deadline_at = NULL, waiting_for = ''
    FROM (
        SELECT held.id, new.values
        FROM workflows_enrollment AS held
        JOIN json_to_recordset(%s::json) AS new (id bigint, values jsonb) ON new.id = held.id
        WHERE held.status = 'live'
        ORDER BY held.id
        FOR UPDATE OF held
    ) AS leaving
    WHERE enrollment.id = leaving.id
    RETURNING enrollment.id
"""


def leave(values: Mapping[int, dict[str, Any]], *, reason: str, now: datetime) -> set[int]:
    """Exit these enrollments, each with its values; those already out stay as they are."""
    rows = [{"id": pk, "values": value} for pk, value in values.items()]
    left = {pk for (pk,) in _execute(LEAVE, rows, reason, now)}
    lines = [LogRow(pk, "exit", outcome=reason, values=values[pk]) for pk in sorted(left)]
    write_log(lines, now=now)
    return left


def refuse(refusals: Sequence[EntryRefusal]) -> None:
    """Keep why these events started nothing."""
    EntryRefusal.objects.bulk_create(refusals)


def _execute(sql: str, rows: list[dict[str, Any]], *parameters: Any) -> list[tuple[Any, ...]]:
    """Run a statement over rows; the rows are its last parameter, and without rows it is skipped.

    They travel as one JSON text: quoting an array for each column costs several times as much.
    """
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, [*parameters, _encode(rows).decode()])
        return cursor.fetchall() if cursor.description else []
