"""Process events in batches: the pipeline against a plain multi-row INSERT of the same rows."""

import statistics
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from apps.events import services as events
from apps.events.models import Event
from benchmarks import ground
from benchmarks.ground import PRODUCT, Ground
from benchmarks.results import Result

ROUNDS = 3
EVENTS = 12_000
ROWS = 500
# What a visit looks like: most look, some fill a cart, few order.
VISIT = [
    *["Product Viewed"] * 7,
    *["Product Added"] * 2,
    "Cart Viewed",
]
ORDERS_ONE_IN = 5
COLUMNS = (
    "anonymous_id, type, name, properties, context, message_id, is_trusted, is_backfill, "
    "received_at, sent_at, original_at, occurred_at, contact_id, source_id"
)
READ = f"SELECT {COLUMNS} FROM events_event WHERE id > %s ORDER BY id"  # noqa: S608 -- ours


def run(laid: Ground) -> list[Result]:
    rounds = [compare(laid) for _ in range(ROUNDS)]
    ours, bare = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    ratio = statistics.median(mine / plain for mine, plain in rounds)
    return [
        Result(
            path="process events in batches",
            ours=f"{ours:,.0f} events/s",
            bare=f"{bare:,.0f} rows/s",
            ratio=f"{ratio:.0%}",
            budget="≥ 50%",
            is_met=ratio >= 0.5,
        )
    ]


def compare(laid: Ground) -> tuple[float, float]:
    """Events per second of ours, and rows per second of the bare statement."""
    last = Event.objects.order_by("-id").values_list("id", flat=True)[0]
    ours = _measure(laid)
    with connection.cursor() as cursor:
        cursor.execute(READ, [last])
        rows = cursor.fetchall()
    if len(rows) != EVENTS:
        raise RuntimeError(f"{len(rows)} of {EVENTS} events are in the log.")
    return ours, _insert_plainly(rows)


def _measure(laid: Ground) -> float:
    """Events per second from the inbox into effect."""
    now = datetime.now(UTC)
    for start in range(0, EVENTS, 1000):
        messages = [event(number) for number in range(start, start + 1000)]
        events.accept(source=laid.source, is_secret=True, messages=messages, received_at=now)
    began = time.monotonic()
    ground.drain(now)
    return EVENTS / (time.monotonic() - began)


def event(number: int) -> dict[str, object]:
    """One of a shop's events; ten in a row are one person's visit."""
    visit, step = divmod(number, len(VISIT))
    is_order = step == len(VISIT) - 1 and visit % ORDERS_ONE_IN == 0
    person = visit % ground.PEOPLE
    cart = f"cart-{person}"
    properties = {"order_id": uuid.uuid4().hex, "cart_id": cart, "total": 25.0, "currency": "EUR"}
    return {
        "type": "track",
        "event": "Order Completed" if is_order else VISIT[step],
        "userId": f"customer-{person}",
        "anonymousId": f"browser-{person}",
        "messageId": str(uuid.uuid4()),
        "properties": properties if is_order else {"cart_id": cart, **PRODUCT},
        "context": {
            "library": {"name": "benchmark", "version": "1"},
            "consent": {"categoryPreferences": {"tracking": True}},
        },
    }


def _insert_plainly(rows: list[tuple[Any, ...]]) -> float:
    """Rows per second of INSERT … VALUES into a like table, a commit for each 500."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_event (LIKE events_event INCLUDING ALL)")
        cursor.execute("CREATE UNIQUE INDEX ON bench_event (source_id, message_id)")
    one = "(" + ", ".join(["%s"] * len(rows[0])) + ")"
    began = time.monotonic()
    for start in range(0, len(rows), ROWS):
        chunk = rows[start : start + ROWS]
        statement = f"INSERT INTO bench_event ({COLUMNS}) VALUES {', '.join([one] * len(chunk))}"  # noqa: S608 -- ours
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [value for row in chunk for value in row])
    rate = len(rows) / (time.monotonic() - began)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE bench_event")
    return rate
