"""What the tracking plan says to a batch: which events break it, and which tell the same."""

from collections.abc import Mapping
from datetime import datetime

from apps.events import duplicates, log
from apps.events.definitions import Plan
from apps.events.duplicates import Judgment, Version
from apps.events.models import EventDefinition, RejectedEvent, Source
from apps.events.quality import Observer
from apps.events.validation import Fault
from apps.events.work import Work, payload_of, reduce

SCHEMA_VIOLATED = "schema_violated"


def check(work: list[Work], plan: Plan, sources: Mapping[int, Source]) -> None:
    """Hold events against the tracking plan. What it rejects finds its person and changes nobody.

    What such an event says about consent counts all the same.
    """
    for one in work:
        known = plan.get(one.name)
        if known is None or known.find is None or not one.is_told:
            continue
        if sources[one.item.source_id].is_internal:
            continue
        one.faults = known.find(one.message.properties or {})
        if not one.faults:
            continue
        if known.choice == EventDefinition.Choice.REJECT:
            one.is_refused = True
            reduce(one)
        elif known.choice == EventDefinition.Choice.FLAG:
            one.notes["violations"] = [_fault_in_words(fault) for fault in one.faults]


def _fault_in_words(fault: Fault) -> str:
    return ": ".join(filter(None, [fault.property, fault.reason, fault.found]))


def set_aside(work: list[Work], observer: Observer, now: datetime) -> list[Work]:
    """Keep what the plan rejects by itself, and return the rest.

    A rejection is final, so no mail waits for it.
    """
    refused = [one for one in work if one.is_refused]
    if not refused:
        return work
    rejected = RejectedEvent.objects.bulk_create(
        RejectedEvent(
            source_id=one.item.source_id,
            is_secret=one.item.is_secret,
            is_backfill=one.item.is_backfill,
            received_at=one.item.received_at,
            rejected_at=now,
            message_id=one.item.message_id,
            reason=SCHEMA_VIOLATED,
            detail="; ".join(_fault_in_words(fault) for fault in one.faults),
            person_keys=one.item.person_keys,
            payload=payload_of(one.item),
        )
        for one in refused
    )
    for one, row in zip(refused, rejected, strict=True):
        observer.see_refused(row, one.name, one.faults)
    return [one for one in work if not one.is_refused]


def name_keys(work: list[Work], plan: Plan) -> list[str]:
    """Find out what events are about by their natural keys."""
    for one in work:
        if one.is_told and not one.is_refused:
            one.natural_key = duplicates.fingerprint(plan, one.name, one.message.properties)
    return [one.natural_key for one in work if one.natural_key]


def judge_keys(work: list[Work], *, since: datetime | None) -> Judgment:
    """Decide which of the events that tell the same count; their people are known by now."""
    for one in work:
        if one.natural_key and one.is_told:
            one.version = Version(
                fingerprint=one.natural_key,
                contact_id=one.contact_id,
                is_trusted=one.item.is_secret,
                source_id=one.item.source_id,
                message_id=one.item.message_id,
            )
    return Judgment([one.version for one in work if one.version], since=since)


def write_keys(judgment: Judgment, work: list[Work], entries: list[log.Entry]) -> None:
    """Bring the judgment into effect, now that the events have their ids."""
    if not judgment.versions:
        return
    for one, entry in zip(work, entries, strict=True):
        if one.version:
            one.version.event_id = entry.event.id
            one.version.received_at = entry.event.received_at
    judgment.write()
