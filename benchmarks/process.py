"""Process events in batches: the pipeline against a plain multi-row INSERT of the same rows."""

import time
from datetime import UTC, datetime

from django.db import connection, transaction

from apps.events import pipeline
from apps.events import services as events
from apps.events.models import Event, Source
from benchmarks.accept import event
from benchmarks.results import Result

EVENTS = 20_000
PEOPLE = 500
COLUMNS = (
    "anonymous_id, type, name, properties, context, message_id, is_trusted, is_backfill, "
    "received_at, sent_at, original_at, occurred_at, contact_id, source_id"
)


def people(source: Source, now: datetime) -> None:
    """Identify everyone whom the events name, and let them allow e-mail."""
    messages = [
        {
            "type": "identify",
            "userId": f"customer-{number}",
            "messageId": f"who-{number}",
            "traits": {"email": f"customer-{number}@example.com", "firstName": "Ada"},
            "context": {"consent": {"categoryPreferences": {"email_marketing": True}}},
        }
        for number in range(PEOPLE)
    ]
    events.accept(source=source, is_secret=True, messages=messages, received_at=now)
    drain(now)


def drain(now: datetime) -> int:
    done = 0
    while count := pipeline.drain(now=now):
        done += count
    return done


def _fill_inbox(source: Source, now: datetime) -> None:
    for start in range(0, EVENTS, 1000):
        messages = [event(number) for number in range(start, start + 1000)]
        events.accept(source=source, is_secret=True, messages=messages, received_at=now)


def _bare_rate() -> float:
    """Rows per second of INSERT … VALUES with 500 rows a statement and a commit each."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_event (LIKE events_event INCLUDING ALL)")
        cursor.execute("CREATE UNIQUE INDEX ON bench_event (source_id, message_id)")
        cursor.execute(f"SELECT {COLUMNS} FROM events_event WHERE type = 'track' LIMIT {EVENTS}")  # noqa: S608
        rows = cursor.fetchall()
    one = "(" + ", ".join(["%s"] * len(rows[0])) + ")"
    began = time.monotonic()
    for start in range(0, len(rows), 500):
        chunk = rows[start : start + 500]
        statement = f"INSERT INTO bench_event ({COLUMNS}) VALUES {', '.join([one] * len(chunk))}"  # noqa: S608
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [value for row in chunk for value in row])
    rate = len(rows) / (time.monotonic() - began)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE bench_event")
    return rate


def run(source: Source) -> list[Result]:
    now = datetime.now(UTC)
    people(source, now)
    _fill_inbox(source, now)
    began = time.monotonic()
    processed = drain(now)
    rate = processed / (time.monotonic() - began)
    stored = Event.objects.filter(type="track").count()
    if stored < EVENTS:
        raise RuntimeError(f"Only {stored} of {EVENTS} events are in the log.")
    bare = _bare_rate()
    return [
        Result(
            path="process events in batches",
            ours=f"{rate:,.0f} events/s",
            bare=f"{bare:,.0f} rows/s",
            ratio=f"{rate / bare:.0%}",
            budget="≥ 50%",
            is_met=rate >= bare / 2,
        )
    ]
