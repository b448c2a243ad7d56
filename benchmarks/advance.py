"""Advance enrollments: the engine against plain statements that write the same rows."""

import statistics
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Model

from apps.contacts.models import Contact
from apps.messaging.models import Message
from apps.workflows import engine, store
from apps.workflows.models import Enrollment, StepLog, Workflow
from benchmarks.ground import RECIPE, Ground
from benchmarks.results import Result

ROUNDS = 3
ENROLLMENTS = 6_000
BATCH = 1000
TURN = timedelta(hours=25)

MOVE = """
UPDATE bench_enrollment AS enrollment
SET pc = new.pc, wake_at = new.wake_at::timestamptz, deadline_at = new.deadline_at::timestamptz,
    status = new.status, finished_at = new.finished_at::timestamptz
FROM (VALUES {}) AS new (id, pc, wake_at, deadline_at, status, finished_at)
WHERE enrollment.id = new.id
"""
MOVED = "id, pc, wake_at::text, deadline_at::text, status, finished_at::text"
LOG = "id, enrollment_id, step_id, action, outcome, values::text, logged_at"
MESSAGE = (
    "id, public_id, send_key, contact_id, template_version_id, purpose_id, context::text, "
    "origin_type, origin_id, step_id, status, reason, reason_values::text, gate::text, priority, "
    "due_at, attempt, failure_count, email, provider_id, queued_at"
)
TABLES: list[type[Model]] = [Enrollment, StepLog, Message]
_rounds = count()


def run(laid: Ground) -> list[Result]:
    rounds = [compare() for _ in range(ROUNDS)]
    ours, bare = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    ratio = statistics.median(mine / plain for mine, plain in rounds)
    return [
        Result(
            path="advance enrollments, one worker",
            ours=f"{ours:,.0f} instructions/s",
            bare=f"{bare:,.0f} instructions/s",
            ratio=f"{ratio:.0%}",
            budget="≥ 10,000/s",
            is_met=ours >= 10_000,
        )
    ]


def compare() -> tuple[float, float]:
    """Instructions a second of the engine, and of its rows written by plain statements."""
    mark = {model: model._default_manager.aggregate(id=Max("pk"))["id"] or 0 for model in TABLES}
    count, seconds = _measure()
    plainly = _write_plainly(mark[Enrollment], mark[StepLog], mark[Message])
    # What the engine has asked for is sent by nobody here.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM messaging_message WHERE status = 'queued'")
    return count / seconds, count / plainly


def _measure() -> tuple[int, float]:
    """Instructions and seconds of the engine.

    Everybody goes through cart recovery: wait, send, wait, send, end; each wait takes two turns.
    """
    now = datetime.now(UTC)
    inside = _enter(now)
    began, instructions = time.monotonic(), 0
    for turn in range(3):
        while done := engine.advance(now=now + turn * TURN, limit=BATCH):
            instructions += done
    seconds = time.monotonic() - began
    if Enrollment.objects.live().filter(pk__in=inside).exists():
        raise RuntimeError("Somebody is still inside.")
    return instructions, seconds


def _enter(now: datetime) -> list[int]:
    """Let everybody in, several times over, each time about another cart."""
    version = Workflow.objects.get(key=RECIPE).live_version
    assert version
    people = list(Contact.objects.reachable().values_list("pk", flat=True))
    mark = next(_rounds)
    rows = [
        Enrollment(
            workflow_id=version.workflow_id,
            version_id=version.pk,
            contact_id=people[number % len(people)],
            entry_key=f"cart-{mark}-{number}",
            context={"event": {"name": "Product Added", "properties": {"price": 12.5}}},
            wake_at=now,
            started_at=now,
        )
        for number in range(ENROLLMENTS)
    ]
    with transaction.atomic():
        return [row.pk for row in store.enter(rows, now=now)]


def _write_plainly(last: int, last_log: int, last_message: int) -> float:
    """Seconds that UPDATE … FROM (VALUES …) and INSERT … VALUES need for what the engine wrote.

    Each enrollment is moved three times, as in the engine's three turns.
    """
    moves = _read(f"SELECT {MOVED} FROM workflows_enrollment WHERE id > {last}")  # noqa: S608
    log = _read(f"SELECT {LOG} FROM workflows_steplog WHERE id > {last_log}")  # noqa: S608
    messages = _read(f"SELECT {MESSAGE} FROM messaging_message WHERE id > {last_message}")  # noqa: S608
    with connection.cursor() as cursor:
        for name in ("workflows_enrollment", "workflows_steplog", "messaging_message"):
            bench = f"bench_{name.partition('_')[2]}"
            cursor.execute(f"CREATE TABLE {bench} (LIKE {name} INCLUDING ALL)")
        cursor.execute(
            f"INSERT INTO bench_enrollment SELECT * FROM workflows_enrollment WHERE id > {last}"  # noqa: S608
        )
    began = time.monotonic()
    for _ in range(3):
        _in_batches(moves, MOVE)
    _in_batches(log, _insert("bench_steplog", LOG))
    _in_batches(messages, _insert("bench_message", MESSAGE))
    took = time.monotonic() - began
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE bench_enrollment, bench_steplog, bench_message")
    return took


def _insert(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns.replace('::text', '')}) VALUES {{}}"  # noqa: S608


def _read(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def _in_batches(rows: list[tuple[Any, ...]], statement: str) -> None:
    one = "(" + ", ".join(["%s"] * len(rows[0])) + ")"
    for start in range(0, len(rows), BATCH):
        chunk = rows[start : start + BATCH]
        with transaction.atomic(), connection.cursor() as cursor:
            values = ", ".join([one] * len(chunk))
            cursor.execute(statement.format(values), [value for row in chunk for value in row])
