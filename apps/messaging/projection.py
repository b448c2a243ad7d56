"""Keep on the message when it was first opened and first clicked."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from apps.events.registry import Batch, ProcessedEvent
from apps.messaging.services import CLICKED, OPENED

_MARK = """
UPDATE messaging_message AS message
SET opened_at = coalesce(message.opened_at, told.opened_at),
    clicked_at = coalesce(message.clicked_at, told.clicked_at)
FROM unnest(%(ids)s::uuid[], %(opened)s::timestamptz[], %(clicked)s::timestamptz[])
    AS told (public_id, opened_at, clicked_at)
WHERE message.public_id = told.public_id
"""


def apply(batch: Batch) -> None:
    """Read the engagement events of a batch; a click counts as an open as well."""
    opened: dict[UUID, datetime] = {}
    clicked: dict[UUID, datetime] = {}
    for event, public_id in _engagement(batch.events):
        opened.setdefault(public_id, event.occurred_at)
        if event.name == CLICKED:
            clicked.setdefault(public_id, event.occurred_at)
    if opened:
        ids = sorted(opened)
        parameters: dict[str, Any] = {
            "ids": ids,
            "opened": [opened[public_id] for public_id in ids],
            "clicked": [clicked.get(public_id) for public_id in ids],
        }
        with connection.cursor() as cursor:
            cursor.execute(_MARK, parameters)


def _engagement(events: Iterable[ProcessedEvent]) -> Iterable[tuple[ProcessedEvent, UUID]]:
    """Events that a browser's key can't forge, with the message that each is about."""
    for event in events:
        if event.name in (OPENED, CLICKED) and event.is_trusted:
            try:
                yield event, UUID(str(event.properties.get("message_id")))
            except ValueError:
                continue
