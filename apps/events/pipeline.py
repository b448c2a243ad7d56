"""From the inbox to the log: each shard in order, batch by batch, each batch in one transaction."""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection, transaction

from apps.events import partitions, processing
from apps.events.models import PROCESSING_FAILED, RejectedEvent
from apps.events.work import Item, payload_of

logger = logging.getLogger(__name__)

BATCH = 1000
LIMIT = 5000

_BUSY = """
SELECT number FROM events_shard AS shard
WHERE EXISTS (SELECT 1 FROM events_inboxevent AS event WHERE event.shard = shard.number)
ORDER BY number
"""
_LOCK = "SELECT 1 FROM events_shard WHERE number = %s FOR UPDATE SKIP LOCKED"

# Gone for us, but still there for everybody else until the commit.
_TAKE = """
DELETE FROM events_inboxevent WHERE id = ANY(ARRAY(
    SELECT id FROM events_inboxevent WHERE shard = %s ORDER BY id LIMIT %s
))
RETURNING
    id, source_id, is_secret, is_backfill, received_at, message_id, payload::text, person_keys
"""


@dataclass(frozen=True)
class _Turn:
    """What one transaction did for a shard; `is_over` when nothing is left for us there."""

    count: int
    is_over: bool


def drain(*, now: datetime, limit: int = LIMIT) -> int:
    """Process what the inbox holds, about `limit` events at most; return how many were taken.

    A shard that another worker holds is theirs. Where the database gives up on a batch (it is away,
    or two transactions got in each other's way) the batch stays in the inbox for the next turn.
    """
    shards = _busy_shards()
    if shards:
        partitions.ensure(months=[partitions.month_in_utc(now)])
    done = 0
    while shards and done < limit:
        still_busy = []
        for shard in shards:
            turn = _take_turn(shard, now=now, size=min(BATCH, limit - done))
            done += turn.count
            if not turn.is_over:
                still_busy.append(shard)
            if done >= limit:
                break
        shards = still_busy
    return done


def _busy_shards() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_BUSY)
        return [number for (number,) in cursor.fetchall()]


@transaction.atomic
def _take_turn(shard: int, *, now: datetime, size: int) -> _Turn:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [shard])
        if not cursor.fetchone():
            return _Turn(0, is_over=True)
        cursor.execute(_TAKE, [shard, size])
        items = [Item(*row) for row in sorted(cursor.fetchall())]
    if items:
        _process(items, now=now)
    return _Turn(len(items), is_over=len(items) < size)


def _process(items: list[Item], *, now: datetime) -> None:
    """Process a batch; where it fails, halve it until the event that fails stands alone."""
    try:
        with transaction.atomic():
            processing.process(items, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as problem:
        if len(items) == 1:
            _reject(items[0], problem, now=now)
            return
        middle = len(items) // 2
        _process(items[:middle], now=now)
        _process(items[middle:], now=now)


def _reject(item: Item, problem: Exception, *, now: datetime) -> None:
    """Set an event aside. Only the kind of failure is told: its text may quote personal data."""
    logger.warning("Event %s failed in the pipeline: %s.", item.id, type(problem).__name__)
    RejectedEvent.objects.create(
        source_id=item.source_id,
        is_secret=item.is_secret,
        is_backfill=item.is_backfill,
        received_at=item.received_at,
        rejected_at=now,
        message_id=item.message_id,
        reason=PROCESSING_FAILED,
        detail=type(problem).__name__,
        person_keys=item.person_keys,
        payload=payload_of(item),
    )
