"""One batch: doubles out, consent asked, people found, log written, projections told."""

from datetime import datetime
from typing import Any

from apps.consent import banners
from apps.consent import services as consent
from apps.consent.models import Purpose, Status
from apps.contacts import suggestions
from apps.contacts.identification import UNVERIFIED
from apps.contacts.services import Directory, Resolution, resolve
from apps.contacts.suggestions import Evidence
from apps.events import definitions, duplicates, inspection, log, privacy, timing
from apps.events.models import Event, Source
from apps.events.privacy import Keep
from apps.events.quality import Observer
from apps.events.registry import Batch, ProcessedEvent, projections
from apps.events.work import Item, Work, follow_merges, read, reduce


def process(items: list[Item], *, now: datetime) -> None:
    """Bring a batch of one shard into effect. Call inside a transaction."""
    sources = {source.pk: source for source in Source.objects.filter(pk__in=_sources(items))}
    observer = Observer()
    work = [read(item, sources[item.source_id]) for item in _new(items, observer)]
    follow_merges(work)
    directory = Directory(one.claim for one in work)
    found = [one.message.contact_id or directory.find(one.claim) for one in work]
    states = privacy.states_of({pk for pk in found if pk is not None})
    _judge(work, found, states, now)
    plan = definitions.plan()
    inspection.check(work, plan, sources)
    duplicates.lock(inspection.name_keys(work, plan))
    resolutions = resolve(claims=[one.claim for one in work], now=now, directory=directory)
    _assign(work, resolutions)
    _record_consents(work, states, sources, now)
    resolutions = [one for one, its in zip(resolutions, work, strict=True) if not its.is_refused]
    work = inspection.set_aside(work, observer, now)

    judgment = inspection.judge_keys(work, since=_look_back(items))
    entries = [_entry(one) for one in work]
    log.write(entries)
    inspection.write_keys(judgment, work, entries)
    _suggest_merges(resolutions, entries, sources, now)
    adoptions = {
        browser: resolution.contact_id
        for resolution in resolutions
        if resolution.contact_id is not None
        for browser in resolution.linked
    }
    if adoptions:
        banners.adopt(adoptions=adoptions, now=now)
    batch = _batch(work, entries, adoptions, now)
    batch.adopted = duplicates.settle(
        log.adopt(adoptions, now=now), plan=plan, since=duplicates.look_back(now)
    )
    for projection in projections():
        projection.apply(batch)
    for one, entry in zip(work, entries, strict=True):
        if not sources[one.item.source_id].is_internal:
            observer.see(entry.event, said=one.said, faults=one.faults, version=one.version)
    observer.close(now=now)


def _new(items: list[Item], observer: Observer) -> list[Item]:
    """Leave out what was processed before, and all but the first of those that are the same."""
    first: dict[tuple[int, str], Item] = {}
    for item in items:
        if first.setdefault((item.source_id, item.message_id), item) is not item:
            observer.see_repeat(source_id=item.source_id, received_at=item.received_at)
    known = log.known(first, since=_look_back(items))
    for pair in known:
        item = first.pop(pair)
        observer.see_repeat(source_id=item.source_id, received_at=item.received_at)
    return list(first.values())


def _batch(
    work: list[Work], entries: list[log.Entry], adoptions: dict[str, int], now: datetime
) -> Batch:
    """What is handed to the floors above; of what nobody may be known by they hear nothing."""
    batch = Batch(now=now, adoptions=adoptions)
    for one, entry in zip(work, entries, strict=True):
        if one.keep not in (Keep.COUNT, Keep.NOTHING):
            (batch.repeats if one.is_repeat else batch.events).append(entry.event)
            if one.version and one.version.is_again:
                batch.again.add(entry.event.id)
    return batch


def _look_back(items: list[Item]) -> datetime | None:
    """From when on an event may be a repeat; the same file may be imported whenever it be."""
    if not items or any(item.is_backfill for item in items):
        return None
    return min(item.received_at for item in items) - log.LOOK_BACK


def _sources(items: list[Item]) -> set[int]:
    return {item.source_id for item in items}


def _judge(
    work: list[Work], found: list[int | None], states: privacy.States, now: datetime
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
            reduce(one)


def _may_track(work: list[Work], found: list[int | None], now: datetime) -> dict[int | None, bool]:
    """Ask about those whose events say nothing, where that is no yes by itself."""
    silent = {
        contact_id
        for one, contact_id in zip(work, found, strict=True)
        if not one.is_consent_settled and Purpose.TRACKING not in one.said
    }
    return privacy.may_track(silent, now) if silent else {}


def _assign(work: list[Work], resolutions: list[Resolution]) -> None:
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
    work: list[Work], states: privacy.States, sources: dict[int, Source], now: datetime
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


def _entry(one: Work) -> log.Entry:
    item, message = one.item, one.message
    if one.keep is Keep.NOTHING:
        return _trace(item)
    sent_at, original_at = timing.instant(message.sent_at), timing.told_at(message)
    occurred_at, note = timing.occurred(item.received_at, sent_at, original_at)
    if note or (original_at is None and message.timestamp is not None):
        one.notes["clock"] = note or "unreadable"
    if one.version and (better := one.version.counting):
        one.notes["duplicate_of"] = {
            "source_id": better.source_id,
            "message_id": better.message_id,
        }
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
        type=Event.Type.DUPLICATE.value if "duplicate_of" in one.notes else message.type,
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


def _properties(one: Work) -> dict[str, Any]:
    message = one.message
    told = message.traits if message.type in ("identify", "group") else message.properties
    return privacy.countable(told or {}) if one.keep is Keep.COUNT else told or {}
