"""One order is one order, whoever tells it and however often: events that share a natural key.

Two events of one name and one key are the same where they are of one contact, or where one of them
is nobody's yet. One of them counts; the others are duplicates: kept, without effect. What has a
contact counts before what has none, a server's word before a browser's, and else the first. Orders
of two contacts stay two, so that nobody can take an order away from somebody else by telling it.
"""

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.db import connection

from apps.contacts.blocked import NO_VALUES
from apps.core.database import number_array, text_array
from apps.events import log
from apps.events.definitions import Plan
from apps.events.models import Event, NaturalKey
from apps.events.registry import ProcessedEvent

MAX_KEY = 200
LOCKS = 1024

# Whoever works on the same keys waits here, and then sees what the other has written. In one order.
_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('events.naturalkey'), number)
FROM unnest(%s::int[]) AS number
"""
_STANDING = """
SELECT key.fingerprint::text, key.id, event.id, event.received_at, event.contact_id,
    event.is_trusted, event.source_id, event.message_id, key.has_browser, key.has_server
FROM events_naturalkey AS key
JOIN events_event AS event
    ON event.id = key.event_id AND event.received_at = key.received_at AND event.type = 'track'
WHERE key.fingerprint = ANY(%s::uuid[]) AND key.received_at >= %s
ORDER BY key.id
"""
_YIELD = """
UPDATE events_event AS event SET type = 'duplicate', context = jsonb_set(
    event.context, '{cuepost}', coalesce(event.context -> 'cuepost', '{}') || jsonb_build_object(
        'duplicate_of',
        jsonb_build_object('source_id', better.source_id, 'message_id', better.message_id)
    )
)
FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::text[])
    AS better (id, received_at, source_id, message_id)
WHERE event.id = better.id AND event.received_at = better.received_at
"""
_REVIVE = """
UPDATE events_event AS event
SET type = 'track', context = event.context #- '{cuepost,duplicate_of}'
FROM unnest(%s::bigint[], %s::timestamptz[]) AS one (id, received_at)
WHERE event.id = one.id AND event.received_at = one.received_at
"""


@dataclass(slots=True, eq=False)
class Version:
    """One telling of what a key stands for."""

    fingerprint: str
    contact_id: int | None
    is_trusted: bool
    source_id: int
    message_id: str
    has_browser: bool = False
    has_server: bool = False
    # Of those that the log holds: the key's row, and the event's.
    key_id: int | None = None
    event_id: int = 0
    received_at: datetime | None = None
    # What came of it
    duplicate_of: "Version | None" = None
    has_been_seen: bool = False
    is_first: bool = False
    is_joined: bool = False

    def __post_init__(self) -> None:
        self.has_browser = self.has_browser or not self.is_trusted
        self.has_server = self.has_server or self.is_trusted

    @property
    def is_again(self) -> bool:
        """Whether the same side, browser or server, had told it before."""
        return not self.is_first and not self.is_joined

    @property
    def rank(self) -> tuple[bool, bool]:
        return self.contact_id is not None, self.is_trusted

    @property
    def counting(self) -> "Version | None":
        """The one that counts in its place; None where it counts itself."""
        better = self.duplicate_of
        while better is not None and better.duplicate_of is not None:
            better = better.duplicate_of
        return better

    def is_like(self, other: "Version") -> bool:
        """Whether both may be the same person's."""
        ours, theirs = self.contact_id, other.contact_id
        return ours is None or theirs is None or ours == theirs


def fingerprint(plan: Plan, name: str, properties: Any) -> str | None:
    """What an event is about, or None where its definition or the event itself names no key."""
    known = plan.get(name)
    if known is None or not known.natural_key or not isinstance(properties, dict):
        return None
    value = properties.get(known.natural_key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    if len(text) > MAX_KEY or text.lower() in NO_VALUES:
        return None
    key = hashlib.sha256(settings.HASH_KEY.encode()).digest()
    digest = hashlib.blake2b(f"{name}\0{text}".encode(), digest_size=16, key=key).digest()
    return str(uuid.UUID(bytes=digest))


def lock(fingerprints: Iterable[str]) -> None:
    """Let nobody else judge the same keys before this transaction is over."""
    numbers = sorted({int(one[:8], 16) % LOCKS for one in fingerprints})
    if numbers:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [number_array(numbers)])


class Judgment:
    """The keys of one batch: which of its events count, and which of the log's no longer do."""

    def __init__(self, versions: Sequence[Version], *, since: datetime | None) -> None:
        self.versions = versions
        self.standing: dict[str, list[Version]] = defaultdict(list)
        self.yielding: list[Version] = []
        self._touched: dict[int, Version] = {}
        for version in _load({one.fingerprint for one in versions}, since):
            self.standing[version.fingerprint].append(version)
        for version in versions:
            self._judge(version)

    def _judge(self, new: Version) -> None:
        standing = self.standing[new.fingerprint]
        same = [one for one in standing if one.is_like(new)]
        new.is_first = not same
        new.is_joined = bool(same) and not any(
            one.has_server if new.is_trusted else one.has_browser for one in same
        )
        better = [one for one in same if one.rank >= new.rank]
        if better:
            # Its own person's, if there is one.
            best = max(better, key=lambda one: (one.contact_id == new.contact_id, one.rank))
            new.duplicate_of = best
            self._join(best, new)
            return
        for one in same:
            self._replace(one, new)
            standing.remove(one)
        standing.append(new)

    def _join(self, counting: Version, other: Version) -> None:
        if counting.key_id and (
            other.has_browser > counting.has_browser or other.has_server > counting.has_server
        ):
            self._touched[counting.key_id] = counting
        counting.has_browser |= other.has_browser
        counting.has_server |= other.has_server

    def _replace(self, old: Version, new: Version) -> None:
        """What the old one did to its contact is done; the new one is what is counted from now."""
        old.duplicate_of = new
        new.has_browser |= old.has_browser
        new.has_server |= old.has_server
        is_known_to_all = old.key_id is not None or old.has_been_seen
        if is_known_to_all and old.contact_id is not None:
            new.has_been_seen = True
        if old.key_id is not None:
            self.yielding.append(old)

    def write(self) -> None:
        """Bring it into effect; the batch's own events have their ids by now."""
        fade(self.yielding)
        touched = [one for one in self._touched.values() if one.duplicate_of is None]
        for one in touched:
            NaturalKey.objects.filter(event_id=one.event_id, fingerprint=one.fingerprint).update(
                has_browser=one.has_browser, has_server=one.has_server
            )
        keep([one for one in self.versions if one.duplicate_of is None])


def keep(versions: Iterable[Version]) -> None:
    """Note the events that count from now on."""
    NaturalKey.objects.bulk_create(
        [
            NaturalKey(
                fingerprint=one.fingerprint,
                event_id=one.event_id,
                received_at=cast("datetime", one.received_at),
                has_browser=one.has_browser,
                has_server=one.has_server,
            )
            for one in versions
        ]
    )


def fade(versions: Sequence[Version]) -> None:
    """Make duplicates of what counted until now."""
    if not versions:
        return
    better = [cast("Version", one.counting) for one in versions]
    with connection.cursor() as cursor:
        cursor.execute(
            _YIELD,
            [
                number_array(one.event_id for one in versions),
                [one.received_at for one in versions],
                number_array(one.source_id for one in better),
                text_array(one.message_id for one in better),
            ],
        )
    NaturalKey.objects.filter(pk__in=[one.key_id for one in versions]).delete()


def settle(adopted: list[ProcessedEvent], *, plan: Plan, since: datetime) -> list[ProcessedEvent]:
    """Ask anew about the duplicates that have just become somebody's; return what counts.

    Whose event it was a duplicate of may be somebody else: then it counts for its own person.
    """
    again = {
        event.id: key
        for event in adopted
        if event.type == Event.Type.DUPLICATE
        and (key := fingerprint(plan, event.name, event.properties))
    }
    if again:
        lock(again.values())
        _revive([event for event in adopted if event.id in again], again, since)
    return [event for event in adopted if event.type != Event.Type.DUPLICATE]


def _revive(events: list[ProcessedEvent], keys: dict[int, str], since: datetime) -> None:
    standing: dict[str, list[Version]] = defaultdict(list)
    for version in _load(set(keys.values()), since):
        standing[version.fingerprint].append(version)
    revived: list[Version] = []
    faded: list[Version] = []
    for event in sorted(events, key=lambda event: (not event.is_trusted, event.id)):
        others = standing[keys[event.id]]
        if any(one.contact_id == event.contact_id for one in others):
            continue
        event.type = Event.Type.TRACK.value
        version = version_of(event, keys[event.id])
        for one in [one for one in others if one.contact_id is None]:
            one.duplicate_of = version
            faded.append(one)
            others.remove(one)
        others.append(version)
        revived.append(version)
    if revived:
        with connection.cursor() as cursor:
            ids = number_array(one.event_id for one in revived)
            cursor.execute(_REVIVE, [ids, [one.received_at for one in revived]])
        fade([one for one in faded if one.key_id is not None])
        keep(revived)


def version_of(event: ProcessedEvent, key: str) -> Version:
    return Version(
        fingerprint=key,
        contact_id=event.contact_id,
        is_trusted=event.is_trusted,
        source_id=event.source_id,
        message_id=event.message_id,
        event_id=event.id,
        received_at=event.received_at,
    )


def _load(fingerprints: set[str], since: datetime | None) -> list[Version]:
    """What counts by these keys at present."""
    if not fingerprints:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [text_array(fingerprints), since or "-infinity"])
        return [
            Version(
                fingerprint=key,
                key_id=key_id,
                event_id=event_id,
                received_at=received_at,
                contact_id=contact_id,
                is_trusted=is_trusted,
                source_id=source_id,
                message_id=message_id,
                has_browser=has_browser,
                has_server=has_server,
            )
            for (
                key, key_id, event_id, received_at, contact_id, is_trusted, source_id, message_id,
                has_browser, has_server,
            ) in cursor.fetchall()
        ]  # fmt: skip


def forget(*, before: datetime) -> int:
    """Let go of keys that no event can be a duplicate of any more."""
    return NaturalKey.objects.filter(received_at__lt=before).delete()[0]


def look_back(received_at: datetime) -> datetime:
    return received_at - log.LOOK_BACK
