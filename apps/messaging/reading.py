"""How long a mail was read: what a provider tells, and what repeated loads of the pixel suggest.

A mail program that shows a mail again loads its picture again. Two loads by the same program with
only minutes between them are taken for one stretch of reading, as long as the time between them. A
single load says nothing about how long, so it adds nothing.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from apps.core.pseudonyms import hide_ip

# Longer between two loads, and the mail was opened twice.
GAP = timedelta(minutes=5)
# A mail that stays open in a window that renews itself is not being read for hours.
MOST = timedelta(minutes=30)
# Filters look into a mail as soon as it arrives.
SCANNED = timedelta(seconds=5)

# Proxies that load pictures ahead or for many, filters and programs; Apple's names itself so.
_APPLE = "Mozilla/5.0"
_MACHINES = re.compile(
    r"imageproxy|mailproxy|bot\b|crawl|spider|scan|preview|headless|barracuda|mimecast|proofpoint"
    r"|curl|wget|python|java/|go-http|okhttp",
    re.IGNORECASE,
)
_AHEAD = re.compile(r"prefetch|preview", re.IGNORECASE)
_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")

_LOAD = """
INSERT INTO messaging_messagereading AS reading (
    message_id, client, loaded_at, load_count, estimated
)
SELECT id, %(client)s, %(now)s, 1, interval '0'
FROM messaging_message
WHERE public_id = %(public_id)s AND (sent_at IS NULL OR sent_at <= %(now)s - %(scanned)s)
ON CONFLICT (message_id) DO UPDATE
SET estimated = CASE
        WHEN reading.client = excluded.client
            AND excluded.loaded_at - reading.loaded_at BETWEEN interval '0' AND %(gap)s
        THEN least(reading.estimated + (excluded.loaded_at - reading.loaded_at), %(most)s)
        ELSE reading.estimated
    END,
    client = excluded.client,
    loaded_at = greatest(reading.loaded_at, excluded.loaded_at),
    load_count = reading.load_count + 1
"""
_REPORT = """
INSERT INTO messaging_messagereading AS reading (
    message_id, client, load_count, estimated, reported
)
SELECT id, '', 0, interval '0', least(%(reported)s, %(most)s)
FROM messaging_message
WHERE public_id = %(public_id)s
ON CONFLICT (message_id) DO UPDATE SET reported = greatest(reading.reported, excluded.reported)
"""


def client_of(*, ip: str, user_agent: str, headers: Mapping[str, str]) -> str:
    """A pseudonym for the program that loads the pixel; nothing where no person need be behind."""
    is_ahead = any(_AHEAD.search(headers.get(name, "")) for name in _PURPOSES)
    return "" if is_ahead or is_machine(user_agent) else hide_ip(f"{ip} {user_agent}")


def is_machine(user_agent: str) -> bool:
    """Whether pictures are loaded by what keeps them for later, or looks for harm in them."""
    agent = user_agent.strip()
    return agent in ("", _APPLE) or _MACHINES.search(agent) is not None


def note_load(*, public_id: UUID, client: str, now: datetime) -> None:
    """Count one load of the pixel, and the time since the last one where it belongs to that."""
    parameters: dict[str, Any] = {
        "public_id": public_id,
        "client": client,
        "now": now,
        "gap": GAP,
        "most": MOST,
        "scanned": SCANNED,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, parameters)


def note_report(*, public_id: UUID, reported: timedelta) -> None:
    """Keep the longest time that the provider tells: it repeats what it has told."""
    parameters: dict[str, Any] = {"public_id": public_id, "reported": reported, "most": MOST}
    with connection.cursor() as cursor:
        cursor.execute(_REPORT, parameters)
