"""Bulk reads and writes of the event log: a few statements per batch, whatever its size."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection

from apps.core.database import number_array, text_array
from apps.events import partitions
from apps.events.registry import ProcessedEvent

# How long clients may go on sending the same event; no older partition is asked whether it has it.
LOOK_BACK = timedelta(days=45)

_KNOWN = """
SELECT wanted.source_id, wanted.message_id
FROM unnest(%s::bigint[], %s::text[]) AS wanted (source_id, message_id)
CROSS JOIN LATERAL (
    SELECT 1 FROM events_event AS event
    WHERE event.source_id = wanted.source_id AND event.message_id = wanted.message_id
        AND event.received_at >= %s
    LIMIT 1
) AS found
"""
_IDS = "SELECT nextval('events_event_id_seq') FROM generate_series(1, %s)"
_COPY = """
COPY events_event (
    id, contact_id, anonymous_id, type, name, properties, context, source_id, message_id,
    is_trusted, is_backfill, received_at, sent_at, original_at, occurred_at
) FROM STDIN
"""

# An event that named another user, which nobody could verify then, isn't handed to somebody else.
_ADOPT = """
UPDATE events_event AS event SET contact_id = contact.id
FROM unnest(%s::text[], %s::bigint[]) AS link (anonymous_id, contact_id)
JOIN contacts_contact AS contact ON contact.id = link.contact_id
WHERE event.anonymous_id = link.anonymous_id
    AND event.contact_id IS NULL AND event.received_at >= %s
    AND coalesce(event.context #>> '{cuepost,user_id}', contact.external_id, '')
        = coalesce(contact.external_id, event.context #>> '{cuepost,user_id}', '')
RETURNING event.id, event.contact_id, event.anonymous_id, event.type, event.name,
    event.properties::text, event.context::text, event.source_id, event.message_id,
    event.is_trusted, event.is_backfill, event.received_at, event.occurred_at
"""

_encode = msgspec.json.Encoder().encode
_NULL = r"\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(slots=True)
class Entry:
    """A new event, and the two instants that only the log keeps."""

    event: ProcessedEvent
    sent_at: datetime | None
    original_at: datetime | None


def known(
    messages: Iterable[tuple[int, str]], *, since: datetime | None = None
) -> set[tuple[int, str]]:
    """Return those (source, message) pairs that the log holds since then, else in any month."""
    pairs = list(messages)
    with connection.cursor() as cursor:
        sources = number_array(pair[0] for pair in pairs)
        ids = text_array(pair[1] for pair in pairs)
        cursor.execute(_KNOWN, [sources, ids, since or "-infinity"])
        return set(cursor.fetchall())


def write(entries: list[Entry]) -> None:
    """Append the events, in order, and give each its id."""
    if not entries:
        return
    partitions.ensure(months={partitions.month_in_utc(one.event.received_at) for one in entries})
    with connection.cursor() as cursor:
        cursor.execute(_IDS, [len(entries)])
        for entry, (event_id,) in zip(entries, cursor.fetchall(), strict=True):
            entry.event.id = event_id
        data = "".join(map(_line, entries))
        with connection.wrap_database_errors, cursor.copy(_COPY) as copy:
            copy.write(data)


def adopted_since(now: datetime) -> datetime:
    """How far back an anonymous visitor's history follows them when they identify."""
    return now - timedelta(days=settings.ADOPTED_HISTORY_DAYS)


def adopt(links: dict[str, int], *, now: datetime) -> list[ProcessedEvent]:
    """Hand the recent anonymous events of these browsers to their contacts; oldest first."""
    if not links:
        return []
    with connection.cursor() as cursor:
        since = adopted_since(now)
        cursor.execute(_ADOPT, [text_array(links), number_array(links.values()), since])
        rows = cursor.fetchall()
    return [_event(row) for row in sorted(rows)]


def _event(row: tuple[Any, ...]) -> ProcessedEvent:
    values = list(row)
    values[5], values[6] = msgspec.json.decode(values[5]), msgspec.json.decode(values[6])
    return ProcessedEvent(*values)


def _line(entry: Entry) -> str:
    """One row in COPY's text format."""
    event = entry.event
    return (
        f"{event.id}\t{event.contact_id or _NULL}\t{_text(event.anonymous_id)}\t{event.type}\t"
        f"{_text(event.name)}\t{_json(event.properties)}\t{_json(event.context)}\t"
        f"{event.source_id}\t{_text(event.message_id)}\t{event.is_trusted}\t{event.is_backfill}\t"
        f"{event.received_at}\t{entry.sent_at or _NULL}\t{entry.original_at or _NULL}\t"
        f"{event.occurred_at}\n"
    )


def _text(text: str) -> str:
    return text.translate(_ESCAPES)


def _json(value: dict[str, Any]) -> str:
    # JSON escapes control characters itself.
    return _encode(value).decode().replace("\\", "\\\\") if value else "{}"
