"""The monthly partitions of the event log, each with its own guard against doubles."""

import re
from collections.abc import Collection
from datetime import UTC, date, datetime

from django.db import connection, transaction

MONTHS_AHEAD = 3

# Months whose partition is known to be there. Only what is committed enters.
_made: set[date] = set()

# Made on its own and attached afterwards: so the log stays readable and writable meanwhile.
_MAKE = """
CREATE TABLE IF NOT EXISTS {name} (LIKE events_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
CREATE UNIQUE INDEX IF NOT EXISTS {name}_once ON {name} (source_id, message_id);
ALTER TABLE events_event ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}');
"""
_PARTITIONS = """
SELECT child.relname FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'events_event'::regclass ORDER BY child.relname
"""
_NAME = re.compile(r"events_event_(\d{4})_(\d{2})")
_EXISTS = """
SELECT EXISTS (
    SELECT FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'events_event'::regclass AND child.relname = %s
)
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('events.partitions'))"


def month_of(instant: date) -> date:
    return date(instant.year, instant.month, 1)


def month_in_utc(instant: datetime) -> date:
    return month_of(instant.astimezone(UTC))


def next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def ensure(*, months: Collection[date]) -> int:
    """Make the partitions that hold these days (in UTC); return how many were missing."""
    wanted = {month_of(day) for day in months} - _made
    return sum(_make(month) for month in sorted(wanted))


def ensure_ahead(*, now: datetime) -> int:
    """Make this month's partition and the next ones."""
    months = [month_in_utc(now)]
    while len(months) <= MONTHS_AHEAD:
        months.append(next_month(months[-1]))
    return ensure(months=months)


def older_than(before: datetime) -> list[str]:
    """The partitions of months that had ended by then, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS)
        return [
            name
            for (name,) in cursor.fetchall()
            if (month := _month_named(name)) and next_month(month) <= month_in_utc(before)
        ]


def count_rows(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {_checked(name)}")  # noqa: S608 -- a month's name
        return int(cursor.fetchone()[0])


def drop(name: str) -> None:
    """Let a month go, as a whole and at once."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {_checked(name)}")
    _made.discard(_month_named(name))


def _checked(name: str) -> str:
    if _month_named(name) is None:
        raise ValueError(f"{name} is no month of the log.")
    return name


def _month_named(name: str) -> date | None:
    found = _NAME.fullmatch(name)
    return date(int(found[1]), int(found[2]), 1) if found else None


def _make(month: date) -> bool:
    name = f"events_event_{month:%Y_%m}"
    with transaction.atomic(), connection.cursor() as cursor:
        # A partition takes effect for others at commit; a second maker waits here, then sees it.
        is_missing = not _exists(name)
        if is_missing:
            cursor.execute(_LOCK)
            is_missing = not _exists(name)
        if is_missing:
            cursor.execute(
                _MAKE.format(
                    name=name, start=f"{month} 00:00+00", end=f"{next_month(month)} 00:00+00"
                )
            )
        transaction.on_commit(lambda: _made.add(month))
    return is_missing


def _exists(name: str) -> bool:
    """Asked of the table itself: to_regclass() may answer from a cache what was true before."""
    with connection.cursor() as cursor:
        cursor.execute(_EXISTS, [name])
        return bool(cursor.fetchone()[0])
