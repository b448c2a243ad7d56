"""The day's numbers, added up batch by batch: what the tracking health page reads."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from django.db import connection

from apps.events.models import EventCount

# What comes later than this after it happened is late.
LATE = timedelta(hours=1)

REPEAT = "repeat"
REJECTED = "rejected"

_FIELDS = (
    "event", "identified", "server", "late", "campaign", "allowed", "refused", "violation",
    "browser_key", "server_key", "browser_joined", "server_joined",
)  # fmt: skip
_COLUMNS = [f"{field}_count" for field in _FIELDS]

# The rows in one order, so that two workers can't cross.
_ADD = f"""
INSERT INTO events_eventcount AS old (day, source_id, type, name, last_at, {", ".join(_COLUMNS)})
SELECT day, source_id, type, name, last_at, {", ".join(_COLUMNS)}
FROM jsonb_to_recordset(%s::jsonb) AS new (
    day date, source_id bigint, type text, name text, last_at timestamptz,
    {", ".join(f"{column} bigint" for column in _COLUMNS)}
)
ORDER BY day, source_id, type, name
ON CONFLICT (day, source_id, type, name) DO UPDATE SET
    last_at = greatest(old.last_at, excluded.last_at),
    {", ".join(f"{column} = old.{column} + excluded.{column}" for column in _COLUMNS)}
"""  # noqa: S608 -- columns are ours

Key = tuple[date, int, str, str]


class Tally:
    """What one batch adds to the day's numbers."""

    def __init__(self) -> None:
        self._rows: dict[Key, dict[str, Any]] = {}

    def add(
        self,
        *,
        received_at: datetime,
        source_id: int,
        type: str,
        name: str = "",
        count: int = 1,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Count events of one kind, and what else is true of them."""
        row = self._row(received_at, source_id, type, name)
        row["event_count"] += count
        for field, number in (counts or {}).items():
            row[f"{field}_count"] += number

    def write(self) -> None:
        """One statement, the last of the transaction: the rows are everybody's."""
        if not self._rows:
            return
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [msgspec.json.encode(list(self._rows.values())).decode()])

    def _row(self, received_at: datetime, source_id: int, type: str, name: str) -> dict[str, Any]:
        key = (received_at.date(), source_id, type, name)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = {
                "day": key[0],
                "source_id": source_id,
                "type": type,
                "name": name,
                "last_at": received_at,
                **dict.fromkeys(_COLUMNS, 0),
            }
        elif received_at > row["last_at"]:
            row["last_at"] = received_at
        return row


def drop(*, before: date) -> int:
    return EventCount.objects.filter(day__lt=before).delete()[0]
