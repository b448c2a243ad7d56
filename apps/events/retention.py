"""What the event log lets go of with time."""

from datetime import datetime

from django.db import OperationalError, connection

from apps.consent.registry import NotYet, Store, register_store
from apps.events import partitions
from apps.events.models import Event, RejectedEvent

# For so long a retry of an event has to find the first one.
LEAST_DAYS = 45

# Of browsers that nobody has identified in. The oldest partitions are read first.
_ANONYMOUS = """
DELETE FROM events_event WHERE (id, received_at) IN (
    SELECT id, received_at FROM events_event
    WHERE contact_id IS NULL AND anonymous_id <> '' AND received_at < %s LIMIT %s
)
"""
# Letting go of a month stops all who write events; whoever reads it for long must not hold them up.
_HURRY = "SET LOCAL lock_timeout = '2s'"


def _count_months(before: datetime) -> int:
    return sum(partitions.count_rows(name) for name in partitions.older_than(before))


def _drop_months(before: datetime, now: datetime, limit: int) -> int:
    """Month by month: one is let go as a whole, when its last day is too old."""
    for name in partitions.older_than(before)[:1]:
        count = partitions.count_rows(name)
        with connection.cursor() as cursor:
            cursor.execute(_HURRY)
        try:
            partitions.drop(name)
        except OperationalError as problem:
            raise NotYet from problem
        # A month without events counts too, or the next would wait until tomorrow.
        return max(count, 1)
    return 0


def _count_anonymous(before: datetime) -> int:
    rows = Event.objects.filter(contact=None, received_at__lt=before)
    return rows.exclude(anonymous_id="").count()


def _drop_anonymous(before: datetime, now: datetime, limit: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_ANONYMOUS, [before, limit])
        return int(cursor.rowcount)


def _count_rejected(before: datetime) -> int:
    return RejectedEvent.objects.filter(rejected_at__lt=before).count()


def _drop_rejected(before: datetime, now: datetime, limit: int) -> int:
    rows = RejectedEvent.objects.filter(rejected_at__lt=before).order_by("rejected_at")
    ids = list(rows.values_list("pk", flat=True)[:limit])
    RejectedEvent.objects.filter(pk__in=ids).delete()
    return len(ids)


STORES = (
    Store(
        "events",
        "Events",
        "What people did. Whole months go, each when its last day is too old. Segments, workflows "
        "and reports look back no further than this.",
        1095,
        _count_months,
        _drop_months,
        least_days=LEAST_DAYS,
    ),
    Store(
        "anonymous_events",
        "Events of unknown browsers",
        "What visitors did whom nobody knows. Who identifies brings along the last 30 days.",
        90,
        _count_anonymous,
        _drop_anonymous,
        least_days=LEAST_DAYS,
    ),
    Store(
        "rejected_events",
        "Rejected events",
        "Events that could not be used, with all they held. Afterwards they can’t be replayed.",
        90,
        _count_rejected,
        _drop_rejected,
    ),
)


def register() -> None:
    for store in STORES:
        register_store(store)
