"""One batch: doubles out, consent asked, people found, log written, projections told."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from apps.consent import banners
from apps.consent import services as consent
from apps.consent.models import Purpose, Status
from apps.contacts import suggestions
from apps.contacts.identification import UNVERIFIED
from apps.contacts.services import Claim, Directory, Mode, Resolution, find_present, resolve
from apps.contacts.suggestions import Evidence
from apps.core.clock import BadInstant, parse_instant
from apps.events import log, messages, privacy, signatures
from apps.events.messages import Message
from apps.events.models import Event, Source
from apps.events.privacy import Keep
from apps.events.registry import Batch, ProcessedEvent, projections

# A clock may be this far ahead before we stop believing it.
MAX_AHEAD = timedelta(minutes=5)

_MODES = {"identify": Mode.IDENTIFY, "alias": Mode.ALIAS}


@dataclass(slots=True)
class Item:
    """One row of the inbox."""

    id: int
    source_id: int
    is_secret: bool
    is_backfill: bool
    received_at: datetime
    message_id: str
    payload: str
    person_keys: list[str]


@dataclass(slots=True)
class _Work:
    """An item on its way through the batch."""

    item: Item
    message: Message
    name: str
    said: dict[str, bool]
    claim: Claim
    is_consent_settled: bool = True
    keep: Keep = Keep.ALL
    contact_id: int | None = None
    is_named: bool = False
    notes: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def process(items: list[Item], *, now: datetime) -> None:
    """Bring a batch of one shard into effect. Call inside a transaction."""
    sources = {source.pk: source for source in Source.objects.filter(pk__in=_sources(items))}
    work = [_read(item, sources[item.source_id]) for item in _new(items)]
    _follow_merges(work)
    directory = Directory(one.claim for one in work)
    found = [one.message.contact_id or directory.find(one.claim) for one in work]
    states = privacy.states_of({pk for pk in found if pk is not None})
    _judge(work, found, states, now)
    resolutions = resolve(claims=[one.claim for one in work], now=now, directory=directory)
    _assign(work, resolutions)
    _record_consents(work, states, sources, now)

    entries = [_entry(one) for one in work]
    log.write(entries)
    _suggest_merges(resolutions, entries, sources, now)
    adoptions = {
        browser: resolution.contact_id
        for resolution in resolutions
        if resolution.contact_id is not None
        for browser in resolution.linked
    }
    if adoptions:
        banners.adopt(adoptions=adoptions, now=now)
    batch = Batch(
        now=now,
        events=[
            entry.event
            for one, entry in zip(work, entries, strict=True)
            if one.keep not in (Keep.COUNT, Keep.NOTHING)
        ],
        adopted=log.adopt(adoptions, now=now),
        adoptions=adoptions,
    )
    for projection in projections():
        projection.apply(batch)


def payload_of(item: Item) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.json.decode(item.payload)
    return payload


def _new(items: list[Item]) -> Iterable[Item]:
    """Leave out what was processed before, and all but the first of those that are the same."""
    first: dict[tuple[int, str], Item] = {}
    for item in items:
        first.setdefault((item.source_id, item.message_id), item)
    known = log.known(first, since=_look_back(items))
    return [item for pair, item in first.items() if pair not in known]


def _look_back(items: list[Item]) -> datetime | None:
    """From when on an event may be a repeat; the same file may be imported whenever it be."""
    if not items or any(item.is_backfill for item in items):
        return None
    return min(item.received_at for item in items) - log.LOOK_BACK


def _sources(items: list[Item]) -> set[int]:
    return {item.source_id for item in items}


def _read(item: Item, source: Source) -> _Work:
    message = messages.decode(item.payload)
    names = messages.read_names(message)
    signature = None if item.is_secret else messages.read_signature(message.context)
    is_signed = (
        signature is not None
        and names.user_id is not None
        and signatures.is_valid(signature, user_id=names.user_id, source=source)
    )
    claim = Claim(
        mode=_MODES.get(message.type, Mode.TRACK),
        is_trusted=item.is_secret,
        user_id=names.user_id,
        email=names.email,
        anonymous_id=names.anonymous_id,
        previous_id=names.previous_id,
        previous_user_id=names.previous_user_id,
        traits=_traits(message) if message.type == "identify" else None,
        is_signed=is_signed,
    )
    remarks = [f"blocked {field}" for field in names.blocked]
    remarks += [signatures.WRONG] if signature and not is_signed else []
    name = messages.event_name(message)
    # Whoever brings history in answers for it; our own events are asked about where they arise.
    is_settled = source.is_consent_settled or source.is_internal or item.is_backfill
    return _Work(
        item,
        message,
        name,
        privacy.preferences(message.context),
        claim,
        is_settled,
        remarks=remarks,
    )


def _traits(message: Message) -> dict[str, Any]:
    """An identify call's traits; RudderStack's clients put them into the context."""
    nested = (message.context or {}).get("traits")
    return {**(nested if isinstance(nested, dict) else {}), **(message.traits or {})}


def _follow_merges(work: list[_Work]) -> None:
    """Only our own events name the contact itself; meanwhile it may be gone, or be another one."""
    named = [one for one in work if one.message.contact_id]
    if not named:
        return
    present = find_present({one.message.contact_id or 0 for one in named})
    for one in named:
        one.is_named = True
        one.message.contact_id = present.get(one.message.contact_id or 0)


def _judge(
    work: list[_Work], found: list[int | None], states: privacy.States, now: datetime
) -> None:
    """Decide what is kept, event by event: a refusal counts from the moment it is made."""
    may_track = _may_track(work, found, now)
    refusals: dict[object, str] = {}
    for one, contact_id in zip(work, found, strict=True):
        claim = one.claim
        person = contact_id or claim.user_id or claim.email or claim.anonymous_id
        state = refusals.get(person) or states.get((contact_id or 0, Purpose.TRACKING))
        name = one.name if one.message.type == "track" else ""
        one.keep = privacy.judge(
            said=one.said,
            state=state,
            name=name,
            is_secret=one.item.is_secret,
            is_silence_enough=one.is_consent_settled
            or refusals.get(person) == Status.GRANTED
            or may_track.get(contact_id, False),
        )
        is_allowed = one.said.get(Purpose.TRACKING)
        if one.item.is_secret and is_allowed:
            refusals[person] = Status.GRANTED
        elif is_allowed is False and (one.item.is_secret or contact_id):
            refusals[person] = Status.DENIED
        if one.keep is not Keep.ALL:
            _reduce(one)


def _may_track(work: list[_Work], found: list[int | None], now: datetime) -> dict[int | None, bool]:
    """Ask about those whose events say nothing, where that is no yes by itself."""
    silent = {
        contact_id
        for one, contact_id in zip(work, found, strict=True)
        if not one.is_consent_settled and Purpose.TRACKING not in one.said
    }
    return privacy.may_track(silent, now) if silent else {}


def _reduce(one: _Work) -> None:
    """Find who is meant without making, linking or changing anybody.

    So the order of somebody we know stops their reminder, and that of a stranger stays nobody's.
    """
    claim = one.claim
    is_wanted = one.item.is_secret and any(one.said.values())
    if is_wanted and (one.keep is Keep.ESSENTIALS or claim.mode is Mode.IDENTIFY):
        # Somebody who refuses tracking and asks for mail is a contact all the same.
        claim.may_link = False
    else:
        claim.mode = Mode.FIND


def _assign(work: list[_Work], resolutions: list[Resolution]) -> None:
    for one, resolution in zip(work, resolutions, strict=True):
        one.contact_id = resolution.contact_id
        if one.is_named:
            one.contact_id = one.message.contact_id
            one.keep = one.keep if one.contact_id else Keep.NOTHING
        if UNVERIFIED in resolution.notes:
            one.notes["identity"] = UNVERIFIED
            if one.claim.user_id:
                one.notes["user_id"] = one.claim.user_id
        resolved = [note for note in resolution.notes if note != UNVERIFIED]
        if others := [*one.remarks, *resolved]:
            one.notes["notes"] = others


def _suggest_merges(
    resolutions: list[Resolution],
    entries: list[log.Entry],
    sources: dict[int, Source],
    now: datetime,
) -> None:
    evidence = [
        Evidence(resolution.conflict, entry.event.id, sources[entry.event.source_id].name)
        for resolution, entry in zip(resolutions, entries, strict=True)
        if resolution.conflict
    ]
    if evidence:
        suggestions.record(found=evidence, now=now)


def _record_consents(
    work: list[_Work], states: privacy.States, sources: dict[int, Source], now: datetime
) -> None:
    said = [one for one in work if one.said and one.contact_id is not None]
    if not said:
        return
    # Contacts that were made or linked just now have states that weren't read yet.
    unread = {one.contact_id for one in said} - {contact_id for contact_id, _ in states}
    states.update(privacy.states_of(pk for pk in unread if pk is not None))
    statements = [
        statement
        for one in said
        if one.contact_id is not None
        for statement in privacy.statements(
            contact_id=one.contact_id,
            said=one.said,
            context=one.message.context,
            is_secret=one.item.is_secret,
            source=sources[one.item.source_id].name,
            said_at=one.item.received_at,
        )
    ]
    if fresh := privacy.news(statements, states):
        consent.record_consents(statements=fresh, now=now)


def _entry(one: _Work) -> log.Entry:
    item, message = one.item, one.message
    if one.keep is Keep.NOTHING:
        return _trace(item)
    sent_at, original_at = _instant(message.sent_at), _told_at(message)
    occurred_at, note = _occurred(item.received_at, sent_at, original_at)
    if note or (original_at is None and message.timestamp is not None):
        one.notes["clock"] = note or "unreadable"
    is_counted = one.keep is Keep.COUNT
    context = (message.context or {}) if one.keep is Keep.ALL else {}
    if "cuepost" in context or (one.notes and not is_counted):
        context = {name: value for name, value in context.items() if name != "cuepost"}
        if one.notes:
            context["cuepost"] = one.notes
    event = ProcessedEvent(
        id=0,
        contact_id=None if is_counted else one.contact_id,
        anonymous_id=(one.claim.anonymous_id or "") if one.keep is Keep.ALL else "",
        type=message.type,
        name=one.name,
        properties=_properties(one),
        context=context,
        source_id=item.source_id,
        message_id=item.message_id,
        is_trusted=item.is_secret,
        is_backfill=item.is_backfill,
        received_at=item.received_at,
        occurred_at=occurred_at,
    )
    return log.Entry(event, sent_at, original_at)


def _trace(item: Item) -> log.Entry:
    """What stays of a dropped event: that it came. Else its retry would speak once more."""
    event = ProcessedEvent(
        id=0,
        contact_id=None,
        anonymous_id="",
        type=Event.Type.DROPPED.value,
        name="",
        properties={},
        context={},
        source_id=item.source_id,
        message_id=item.message_id,
        is_trusted=item.is_secret,
        is_backfill=item.is_backfill,
        received_at=item.received_at,
        occurred_at=item.received_at,
    )
    return log.Entry(event, None, None)


def _properties(one: _Work) -> dict[str, Any]:
    message = one.message
    told = message.traits if message.type in ("identify", "group") else message.properties
    return privacy.countable(told or {}) if one.keep is Keep.COUNT else told or {}


def _told_at(message: Message) -> datetime | None:
    return _instant(message.original_timestamp) or _instant(message.timestamp)


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_instant(value)
    except BadInstant:
        return None


def _occurred(
    received_at: datetime, sent_at: datetime | None, told_at: datetime | None
) -> tuple[datetime, str]:
    """Correct the client's clock by ours: it knows how long before sending something happened."""
    if told_at is None:
        return received_at, ""
    try:
        occurred_at = received_at - (sent_at - told_at) if sent_at else told_at
    except OverflowError:
        return received_at, "unreadable"
    if occurred_at > received_at + MAX_AHEAD:
        return received_at, "future"
    return occurred_at, ""
