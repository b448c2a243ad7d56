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

# A message whose claims were lost before, maybe through its own fault, is claimed alone: so nobody
# else is lost with it, and the next loss says that it is to blame.
_CLAIM = """
WITH due AS (
    SELECT id, priority, due_at, CASE WHEN reason = 'claim_lost' THEN
        (reason_values ->> 'lost_claims')::int >= %(suspect)s ELSE false END AS is_suspect
    FROM messaging_message
    WHERE status = 'queued' AND due_at <= %(now)s
    ORDER BY priority, due_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), lined_up AS (
    SELECT id, bool_or(is_suspect) OVER line AS comes_after, row_number() OVER line AS place
    FROM due WINDOW line AS (ORDER BY priority, due_at, id)
)
UPDATE messaging_message AS message
SET status = 'claimed', lease_until = %(lease_until)s, attempt = message.attempt + 1
FROM lined_up
WHERE message.id = lined_up.id AND (lined_up.place = 1 OR NOT lined_up.comes_after)
RETURNING message.priority, message.due_at, message.id, message.attempt, message.contact_id
"""

_DECIDE = """
UPDATE messaging_message AS message
SET status = new.status, reason = new.reason, reason_values = new.reason_values,
    gate = new.gate, consent_record_id = new.consent_record_id,
    legal_basis = new.legal_basis, email = new.email,
    due_at = coalesce(new.due_at, message.due_at),
    lease_until = %(lease_until)s, gated_at = %(now)s,
    closed_at = CASE WHEN new.status = 'skipped' THEN %(now)s::timestamptz END
FROM json_to_recordset(%(rows)s) AS new (
    id bigint, status text, reason text, reason_values jsonb, gate jsonb,
    consent_record_id bigint, legal_basis text, email text, due_at timestamptz
)
WHERE message.id = new.id
"""

_KEEP = """
INSERT INTO messaging_messagecontent (message_id, subject, html, text, links)
VALUES {rows}
ON CONFLICT (message_id) DO UPDATE
SET subject = excluded.subject, html = excluded.html, text = excluded.text, links = excluded.links
"""

# A provider's webhook may have told more before this answer is recorded; then only what it could
# not know is added.
_RECORD = """
UPDATE messaging_message AS message
SET status = CASE WHEN message.status IN ('sending', 'in_doubt') THEN new.status
                  ELSE message.status END,
    reason = CASE WHEN message.status IN ('sending', 'in_doubt') THEN new.reason
                  ELSE message.reason END,
    reason_values = CASE WHEN message.status IN ('sending', 'in_doubt') THEN new.reason_values
                         ELSE message.reason_values END,
    provider_id = new.provider_id,
    due_at = coalesce(new.due_at, message.due_at),
    failure_count = message.failure_count + new.failures,
    sent_at = CASE WHEN new.status = 'sent' THEN new.at END,
    closed_at = CASE WHEN new.status <> 'queued' THEN coalesce(message.closed_at, new.at) END
FROM json_to_recordset(%(rows)s) AS new (
    id bigint, attempt int, status text, reason text, reason_values jsonb, provider_id text,
    due_at timestamptz, failures int, at timestamptz
)
WHERE message.id = new.id AND message.attempt = new.attempt
  AND (message.status IN ('sending', 'in_doubt')
       OR new.status = 'sent' AND message.status IN ('sent', 'delivered', 'bounced', 'complained'))
"""

_RELEASE = """
UPDATE messaging_message AS message
SET status = 'queued', lease_until = NULL
FROM unnest(%(ids)s::bigint[], %(attempts)s::bigint[]) AS ours (id, attempt)
WHERE message.id = ours.id AND message.attempt = ours.attempt
  AND message.status IN ('claimed', 'sending')
"""

_TAKE_BACK = """
UPDATE messaging_message AS message
SET status = 'claimed', lease_until = %(lease_until)s
FROM unnest(%(ids)s::bigint[], %(attempts)s::bigint[]) AS ours (id, attempt)
WHERE message.id = ours.id AND message.attempt = ours.attempt AND message.status = 'sending'
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
    contact_id: int
    priority: int


@dataclass(frozen=True, slots=True)
class Fate:
    """Where the gate sends one message."""

    message: Message
    status: str
    reason: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    consent_record_id: int | None = None
    legal_basis: str = ""
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
    lease = {"now": now, "lease_until": now + LEASE}
    found = _rows(_CLAIM, {**lease, "limit": limit, "suspect": MAX_LOST_CLAIMS - 1})
    return [
        Claim(message_id, attempt, contact_id, priority)
        for priority, _, message_id, attempt, contact_id in sorted(found)
    ]


def write_fates(fates: Sequence[Fate], *, now: datetime) -> None:
    """Store what the gate said. Call inside the transaction that holds the rows."""
    rows = [
        {
            "id": fate.message.pk,
            "status": fate.status,
            "reason": fate.reason,
            "reason_values": fate.values,
            "gate": fate.answers,
            "consent_record_id": fate.consent_record_id,
            "legal_basis": fate.legal_basis,
            "email": fate.message.email,
            "due_at": _instant(fate.due_at),
        }
        for fate in fates
    ]
    _execute(_DECIDE, {"rows": json.dumps(rows), "now": now, "lease_until": now + LEASE})


def keep_contents(composed: Sequence[tuple[Message, Composed]]) -> None:
    """Keep what each message says, before it is handed over."""
    if composed:
        values = [
            value
            for message, content in composed
            for value in (
                message.pk,
                content.subject,
                content.html,
                content.text,
                json.dumps(content.links),
            )
        ]
        rows = ", ".join(["(%s, %s, %s, %s, %s)"] * len(composed))
        _execute(_KEEP.format(rows=rows), values)


def record(results: Sequence[Result]) -> int:
    """Store what came of the hand-overs that are still ours."""
    if not results:
        return 0
    rows = [
        {
            "id": result.message.pk,
            "attempt": result.message.attempt,
            "status": result.status,
            "reason": result.reason,
            "reason_values": result.values,
            "provider_id": result.provider_id,
            "due_at": _instant(result.due_at),
            "failures": result.failures,
            "at": _instant(result.at),
        }
        for result in results
    ]
    return _execute(_RECORD, {"rows": json.dumps(rows)})


def _instant(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def release(claims: Sequence[Claim]) -> int:
    """Put back what we hold and surely have not handed over."""
    return _execute(_RELEASE, _keys(claims)) if claims else 0


def take_back(claims: Sequence[Claim], *, now: datetime) -> int:
    """Return to before the gate what has passed it and surely was not handed over."""
    return _execute(_TAKE_BACK, {**_keys(claims), "lease_until": now + LEASE})


def _keys(claims: Sequence[Claim]) -> dict[str, Any]:
    return {
        "ids": [claim.message_id for claim in claims],
        "attempts": [claim.attempt for claim in claims],
    }


def reap(*, now: datetime) -> int:
    """Pick up after workers that died: claims go back, hand-overs under way become in doubt."""
    lost = _execute(_REAP_CLAIMED, {"now": now, "limit": MAX_LOST_CLAIMS})
    return lost + _execute(_REAP_SENDING, {"now": now})


def _execute(sql: str, parameters: dict[str, Any] | list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
