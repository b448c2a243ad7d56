"""Taking events in, and the sources they come from."""

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import InterfaceError, OperationalError, connection, transaction

from apps.core.database import number_array, text_array
from apps.core.hashing import keyed_hash
from apps.core.nudge import nudge
from apps.events import counting, definitions, duplicates
from apps.events import messages as checks
from apps.events.messages import BadMessage, Checked, Unreadable
from apps.events.models import InboxEvent, RejectedEvent, Source

KEY_BYTES = 24
SECONDS_KEYS_ARE_KEPT = 5.0
MAX_KEPT_KEYS = 1000
MAX_STORED_TEXT = 2000
DAY = timedelta(days=1)
KEPT_VIOLATIONS = timedelta(days=90)
KEPT_COUNTS = timedelta(days=400)

# Keys seen a moment ago: by public key, or by the secret key's hash.
_kept: dict[str, tuple[float, Source, bool]] = {}

_STORE = """
INSERT INTO events_inboxevent
    (source_id, is_secret, is_backfill, received_at, message_id, person_keys, shard, payload)
SELECT %s, %s, %s, %s, message_id, person_keys::text[], shard, payload::jsonb
FROM unnest(%s::text[], %s::text[], %s::smallint[], %s::text[])
    AS new (message_id, person_keys, shard, payload)
"""
_STORE_ONE = """
INSERT INTO events_inboxevent
    (source_id, is_secret, is_backfill, received_at, message_id, person_keys, shard, payload)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


class AlreadyReplayed(Exception):
    """The rejected event went back into the inbox before."""


@dataclass(slots=True)
class Accepted:
    """What became of a request's messages; `rejected` are their places and reasons."""

    stored: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def create_source(
    *, name: str, now: datetime, is_consent_settled: bool = False
) -> tuple[Source, str]:
    """Make a source; return it with its secret key, which can't be read again later."""
    source = Source(
        name=name,
        public_key=f"pk_{secrets.token_urlsafe(KEY_BYTES)}",
        identity_salt=secrets.token_urlsafe(KEY_BYTES),
        is_consent_settled=is_consent_settled,
        created_at=now,
    )
    secret_key = _give_secret_key(source)
    source.save(force_insert=True)
    return source, secret_key


def rotate_secret_key(*, source: Source) -> str:
    """Give a source a new secret key and return it; the old one stops within seconds."""
    secret_key = _give_secret_key(source)
    source.save(update_fields=["secret_key_hash", "secret_key_hint", "updated_at"])
    forget_keys()
    return secret_key


def rotate_identity_secret(*, source: Source) -> None:
    """Give a source a new identity secret; signatures made with the old one prove nothing more."""
    source.identity_salt = secrets.token_urlsafe(KEY_BYTES)
    source.save(update_fields=["identity_salt", "updated_at"])


def change_source(*, source: Source) -> None:
    """Store what staff has changed; a switched-off source is refused within seconds."""
    source.save(update_fields=["name", "is_active", "is_consent_settled", "updated_at"])
    forget_keys()


def find_source(key: str) -> tuple[Source, bool] | None:
    """Return the active source that a key belongs to, and whether it is the secret one."""
    is_secret = key.startswith("sk_")
    lookup = keyed_hash(key) if is_secret else key
    kept = _kept.get(lookup)
    if kept and kept[0] > time.monotonic():
        return kept[1], kept[2]
    column = "secret_key_hash" if is_secret else "public_key"
    source = Source.objects.sending().filter(**{column: lookup}).first()
    if source is None:
        _kept.pop(lookup, None)
        return None
    if len(_kept) >= MAX_KEPT_KEYS:
        _kept.clear()
    _kept[lookup] = (time.monotonic() + SECONDS_KEYS_ARE_KEPT, source, is_secret)
    return source, is_secret


def forget_keys() -> None:
    """Look every key up anew."""
    _kept.clear()


def accept(
    *,
    source: Source,
    is_secret: bool,
    messages: Iterable[Any],
    received_at: datetime,
    is_backfill: bool = False,
) -> Accepted:
    """Write messages into the inbox in one statement; unusable ones are kept as rejected."""
    accepted = Accepted()
    good: list[Checked] = []
    bad: list[RejectedEvent] = []
    for index, raw in enumerate(messages):
        try:
            good.append(checks.check(raw, is_internal=source.is_internal, is_secret=is_secret))
        except BadMessage as problem:
            accepted.rejected.append((index, problem.reason))
            bad.append(
                RejectedEvent(
                    source=source,
                    is_secret=is_secret,
                    is_backfill=is_backfill,
                    received_at=received_at,
                    rejected_at=received_at,
                    message_id=_readable_message_id(raw),
                    reason=problem.reason,
                    detail=problem.detail,
                    payload=_storable(raw, is_secret=is_secret),
                )
            )
    accepted.stored = len(good)
    shared = [source.pk, is_secret, is_backfill, received_at]
    if bad:
        with transaction.atomic():
            RejectedEvent.objects.bulk_create(bad)
            _store(shared, good)
    else:
        _store(shared, good)
    return accepted


def accept_pixel(*, parameters: dict[str, str], received_at: datetime) -> Accepted:
    """Take what a pixel's address says, as a browser's word.

    Without `key` (a public one) it counts for the oldest active source. The user ID of a known
    contact proves nothing in an address that anybody can type: without the `signature` for it such
    an event stays unattached, with the ID noted.
    """
    told = {name: _clean(value) for name, value in parameters.items()}
    key = told.pop("key", "")
    found = find_source(key) if key.startswith("pk_") else None
    source = found[0] if found else None
    if source is None and not key:
        source = Source.objects.sending().order_by("pk").first()
    if source is None or not told.get("event"):
        return Accepted()
    signature = told.pop("signature", None)
    message = {
        "type": "track",
        "event": told.pop("event"),
        "userId": told.pop("user_id", None),
        "anonymousId": told.pop("anonymous_id", None),
        "messageId": told.pop("message_id", None),
        "properties": {name: value for name, value in told.items() if name != "consent"},
        "context": {
            "library": {"name": "pixel"},
            "cuepost": {"identitySignature": signature},
            **_pixel_consent(told),
        },
    }
    return accept(source=source, is_secret=False, messages=[message], received_at=received_at)


def _pixel_consent(told: dict[str, str]) -> dict[str, Any]:
    """A page that has asked its visitor says so: consent=1, or 0."""
    answers = {"1": True, "true": True, "0": False, "false": False}
    answer = answers.get(told.get("consent", "").lower())
    return {} if answer is None else {"consent": {"categoryPreferences": {"tracking": answer}}}


def record_internal(
    *, name: str, contact_id: int, message_id: str, properties: dict[str, Any], now: datetime
) -> Accepted:
    """Put one of our own events, such as an opened mail, into the inbox."""
    message = {
        "type": "track",
        "event": name,
        "contactId": contact_id,
        "messageId": message_id,
        "properties": properties,
    }
    source = Source.objects.get(is_internal=True)
    return accept(source=source, is_secret=True, messages=[message], received_at=now)


def replay(*, rejected: RejectedEvent, now: datetime) -> InboxEvent:
    """Put a rejected event back into the inbox; raise BadMessage where it still can't be used."""
    checked = checks.check(
        {**rejected.payload, "messageId": rejected.message_id or None},
        is_internal=rejected.source.is_internal,
        is_stored=True,
    )
    with transaction.atomic():
        if not RejectedEvent.objects.filter(pk=rejected.pk, replayed_at=None).update(
            replayed_at=now
        ):
            raise AlreadyReplayed("This event was replayed before.")
        event = InboxEvent.objects.create(
            source_id=rejected.source_id,
            is_secret=rejected.is_secret,
            is_backfill=rejected.is_backfill,
            received_at=rejected.received_at,
            replayed_at=now,
            message_id=checked.message_id,
            person_keys=checked.person_keys,
            shard=checked.shard,
            payload=msgspec.json.decode(checked.payload),
        )
        transaction.on_commit(nudge, robust=True)
    rejected.replayed_at = now
    return event


def drop_numbers(*, now: datetime) -> None:
    """Let go of numbers, mistakes and keys that nothing asks for any more."""
    duplicates.forget(before=duplicates.look_back(now) - DAY)
    definitions.drop_violations(before=(now - KEPT_VIOLATIONS).date())
    counting.drop(before=(now - KEPT_COUNTS).date())


def _give_secret_key(source: Source) -> str:
    secret_key = f"sk_{secrets.token_urlsafe(KEY_BYTES)}"
    source.secret_key_hash = keyed_hash(secret_key)
    source.secret_key_hint = f"…{secret_key[-4:]}"
    return secret_key


def _store(shared: list[Any], good: list[Checked]) -> None:
    if not good:
        return
    if len(good) == 1:
        one = good[0]
        _insert(_STORE_ONE, [*shared, one.message_id, one.person_keys, one.shard, one.payload])
    else:
        columns = [
            text_array(one.message_id for one in good),
            # An array of arrays must be rectangular, an array of texts needn't.
            text_array(text_array(one.person_keys) for one in good),
            number_array(one.shard for one in good),
            text_array(one.payload for one in good),
        ]
        _insert(_STORE, [*shared, *columns])
    transaction.on_commit(nudge, robust=True)


def _insert(sql: str, parameters: list[Any]) -> None:
    """Run it; on a connection that has died since its last use, once more on a new one.

    Asking before whether the connection lives would cost a fifth of the request. What is stored
    twice by this has the same message ID and takes effect once.
    """
    connection.health_check_done = True  # type: ignore[attr-defined]
    try:
        _execute(sql, parameters)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block:
            raise
        connection.close()
        _execute(sql, parameters)


def _execute(sql: str, parameters: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _readable_message_id(raw: object) -> str:
    value = raw.get("messageId") if isinstance(raw, dict) else None
    return _clean(value)[: checks.MAX_MESSAGE_ID] if isinstance(value, str) else ""


def _storable(raw: object, *, is_secret: bool) -> dict[str, Any]:
    """What can be kept of a message that can't be used: itself, or a readable part of it."""
    if isinstance(raw, Unreadable):
        return {"unreadable": _clean(raw.text)[:MAX_STORED_TEXT]}
    if isinstance(raw, dict):
        raw = checks.hide_names(raw, is_secret=is_secret)
    try:
        text = msgspec.json.encode(raw).decode()
        is_small = len(text) <= checks.MAX_BYTES and checks.depth(raw) <= checks.MAX_DEPTH
        if isinstance(raw, dict) and is_small and "\\u0000" not in text:
            return raw
    except (TypeError, ValueError, OverflowError, RecursionError):
        text = ""
    return {"unreadable": _clean(text)[:MAX_STORED_TEXT]}


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
