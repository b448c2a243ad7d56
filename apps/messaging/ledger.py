"""The SQL that moves messages from state to state, always in sets and always behind the fence.

`attempt` is the fence: it grows with every claim, so a worker that lost its claim changes nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.messaging.composition import Composed
from apps.messaging.models import Message

LEASE = timedelta(seconds=60)
MAX_LOST_CLAIMS = 3

_CLAIM = """
UPDATE messaging_message AS message
SET status = 'claimed', lease_until = %(lease_until)s, attempt = message.attempt + 1
FROM (
    SELECT id FROM messaging_message
    WHERE status = 'queued' AND due_at <= %(now)s
    ORDER BY priority, due_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) AS due
WHERE message.id = due.id
RETURNING message.priority, message.due_at, message.id, message.attempt
"""

_DECIDE = """
UPDATE messaging_message AS message
SET status = new.status, reason = new.reason, reason_values = new.reason_values,
    gate = new.gate, consent_record_id = new.consent_record_id, email = new.email,
    due_at = coalesce(new.due_at, message.due_at),
    lease_until = %(lease_until)s, gated_at = %(now)s,
    closed_at = CASE WHEN new.status = 'skipped' THEN %(now)s::timestamptz END
FROM unnest(
    %(ids)s::bigint[], %(statuses)s::text[], %(reasons)s::text[], %(values)s::jsonb[],
    %(gates)s::jsonb[], %(records)s::bigint[], %(emails)s::text[], %(due)s::timestamptz[]
) AS new (id, status, reason, reason_values, gate, consent_record_id, email, due_at)
WHERE message.id = new.id
"""

_KEEP = """
INSERT INTO messaging_messagecontent (message_id, subject, html, text, links)
SELECT * FROM unnest(
    %(ids)s::bigint[], %(subjects)s::text[], %(htmls)s::text[], %(texts)s::text[],
    %(links)s::jsonb[]
)
ON CONFLICT (message_id) DO UPDATE
SET subject = excluded.subject, html = excluded.html, text = excluded.text, links = excluded.links
"""

# A provider's webhook may have told more before this answer is recorded; then only what it could
# not know is added.
_RECORD = """
UPDATE messaging_message AS message
SET status = CASE WHEN message.status IN ('sending', 'in_doubt') THEN new.status
                  ELSE message.status END,
    reason = new.reason, reason_values = new.reason_values, provider_id = new.provider_id,
    due_at = coalesce(new.due_at, message.due_at),
    failure_count = message.failure_count + new.failures,
    sent_at = CASE WHEN new.status = 'sent' THEN new.at END,
    closed_at = CASE WHEN new.status <> 'queued' THEN coalesce(message.closed_at, new.at) END
FROM unnest(
    %(ids)s::bigint[], %(attempts)s::bigint[], %(statuses)s::text[], %(reasons)s::text[],
    %(values)s::jsonb[], %(provider_ids)s::text[], %(due)s::timestamptz[], %(failures)s::int[],
    %(at)s::timestamptz[]
) AS new (id, attempt, status, reason, reason_values, provider_id, due_at, failures, at)
WHERE message.id = new.id AND message.attempt = new.attempt
  AND (message.status IN ('sending', 'in_doubt')
       OR new.status = 'sent' AND message.status IN ('delivered', 'bounced', 'complained'))
"""

_RELEASE = """
UPDATE messaging_message AS message
SET status = 'queued', lease_until = NULL
FROM unnest(%(ids)s::bigint[], %(attempts)s::bigint[]) AS ours (id, attempt)
WHERE message.id = ours.id AND message.attempt = ours.attempt
  AND message.status IN ('claimed', 'sending')
"""

_REAP_CLAIMED = """
UPDATE messaging_message AS message
SET status = CASE WHEN lost.count >= %(limit)s THEN 'failed' ELSE 'queued' END,
    reason = CASE WHEN lost.count >= %(limit)s THEN 'poison' ELSE 'claim_lost' END,
    reason_values = jsonb_build_object('lost_claims', lost.count),
    lease_until = NULL,
    closed_at = CASE WHEN lost.count >= %(limit)s THEN %(now)s::timestamptz END
FROM (
    SELECT id, 1 + CASE WHEN reason = 'claim_lost' THEN (reason_values ->> 'lost_claims')::int
                        ELSE 0 END AS count
    FROM messaging_message
    WHERE status = 'claimed' AND lease_until <= %(now)s
    FOR UPDATE SKIP LOCKED
) AS lost
WHERE message.id = lost.id
"""

_REAP_SENDING = """
UPDATE messaging_message
SET status = 'in_doubt', reason = 'worker_lost', closed_at = %(now)s
WHERE status = 'sending' AND lease_until <= %(now)s
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """One message in our hands, and the fence that says so."""

    message_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Fate:
    """Where the gate sends one message."""

    message: Message
    status: str
    reason: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    consent_record_id: int | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one hand-over."""

    message: Message
    status: str
    at: datetime
    reason: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    provider_id: str = ""
    due_at: datetime | None = None
    failures: int = 0


def claim(*, now: datetime, limit: int) -> list[Claim]:
    """Take due messages that no other worker holds, for the length of a lease."""
    found = _rows(_CLAIM, {"now": now, "limit": limit, "lease_until": now + LEASE})
    return [Claim(message_id, attempt) for _, _, message_id, attempt in sorted(found)]


def write_fates(fates: Sequence[Fate], *, now: datetime) -> None:
    """Store what the gate said. Call inside the transaction that holds the rows."""
    _execute(
        _DECIDE,
        {
            "now": now,
            "lease_until": now + LEASE,
            "ids": [fate.message.pk for fate in fates],
            "statuses": [fate.status for fate in fates],
            "reasons": [fate.reason for fate in fates],
            "values": [json.dumps(fate.values) for fate in fates],
            "gates": [json.dumps(fate.answers) for fate in fates],
            "records": [fate.consent_record_id for fate in fates],
            "emails": [fate.message.email for fate in fates],
            "due": [fate.due_at for fate in fates],
        },
    )


def keep_contents(composed: Sequence[tuple[Message, Composed]]) -> None:
    """Keep what each message says, before it is handed over."""
    if composed:
        _execute(
            _KEEP,
            {
                "ids": [message.pk for message, _ in composed],
                "subjects": [content.subject for _, content in composed],
                "htmls": [content.html for _, content in composed],
                "texts": [content.text for _, content in composed],
                "links": [json.dumps(content.links) for _, content in composed],
            },
        )


def record(results: Sequence[Result]) -> int:
    """Store what came of the hand-overs that are still ours."""
    if not results:
        return 0
    return _execute(
        _RECORD,
        {
            "ids": [result.message.pk for result in results],
            "attempts": [result.message.attempt for result in results],
            "statuses": [result.status for result in results],
            "reasons": [result.reason for result in results],
            "values": [json.dumps(result.values) for result in results],
            "provider_ids": [result.provider_id for result in results],
            "due": [result.due_at for result in results],
            "failures": [result.failures for result in results],
            "at": [result.at for result in results],
        },
    )


def release(claims: Sequence[Claim]) -> int:
    """Put back what we hold and surely have not handed over."""
    if not claims:
        return 0
    ids = [claim.message_id for claim in claims]
    return _execute(_RELEASE, {"ids": ids, "attempts": [claim.attempt for claim in claims]})


def reap(*, now: datetime) -> int:
    """Pick up after workers that died: claims go back, hand-overs under way become in doubt."""
    lost = _execute(_REAP_CLAIMED, {"now": now, "limit": MAX_LOST_CLAIMS})
    return lost + _execute(_REAP_SENDING, {"now": now})


def _execute(sql: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.rowcount


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
