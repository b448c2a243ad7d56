"""What people allowed, in files of contacts: as it comes in from other systems, and as it goes out.

A yes from a file proves less than what somebody told us: it doesn't undo a no of theirs, and one
without a date undoes no no at all. A no always counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.db.models import Q

from apps.consent import services
from apps.consent.models import ConsentRecord, ConsentState, Purpose, Status, Topic
from apps.consent.recording import Statement
from apps.consent.registry import Fate, Holding, Subject, register_holding
from apps.contacts import uploads
from apps.contacts.fields import NO, YES
from apps.contacts.models import ImportJob, ImportRow
from apps.contacts.registry import BadCell, Column, ColumnSet, register_columns
from apps.core.clock import BadInstant, parse_instant

GRANTED = YES | {"granted", "allowed", "opted in", "opt-in", "subscribed"}
DENIED = NO | {"denied", "refused", "opted out", "opt-out", "unsubscribed"}
DETAILS = {"date": "when", "source": "where", "wording": "wording"}
MAX_SOURCE = 200
MAX_WORDING = 40
# Clocks of other systems may be ahead of ours.
MAX_AHEAD = timedelta(days=1)
MONTH = timedelta(days=365) / 12

RECORDED = "consents recorded"
OVERTAKEN = "yes left out: they had said no"
TOO_OLD = "yes left out: too old to count"


@dataclass(frozen=True)
class Said:
    """One answer of a row, and how it is known."""

    key: str
    status: str
    said_at: datetime | None
    source: str
    wording: str


def columns() -> list[Column]:
    """An answer for each purpose and topic, the details of all, and those of each."""
    names = _names()
    answers = [Column(f"consent:{key}", f"Consent: {name}", (key,)) for key, name in names]
    shared = [
        Column(f"consent_{detail}", f"Consent: {word}", may_be_constant=True)
        for detail, word in DETAILS.items()
    ]
    single = [
        Column(f"consent:{key}:{detail}", f"Consent: {name}, {word}")
        for key, name in names
        for detail, word in DETAILS.items()
    ]
    return [*answers, *shared, *single]


def read(cells: Mapping[str, str], now: datetime) -> list[Said] | None:
    """What a row says; raise BadCell."""
    found = []
    for column, text in cells.items():
        prefix, _, key = column.partition(":")
        if prefix != "consent" or ":" in key:
            continue
        details = {
            name: cells.get(f"{column}:{name}") or cells.get(f"consent_{name}", "")
            for name in DETAILS
        }
        found.append(
            Said(
                key=key,
                status=_status(text, key),
                said_at=_instant(details["date"], key, now),
                source=_short(details["source"], MAX_SOURCE, key),
                wording=_short(details["wording"], MAX_WORDING, key),
            )
        )
    return found or None


def write(told: Sequence[tuple[int, list[Said]]], source: str, now: datetime) -> Mapping[str, int]:
    """Record what changes something; count what was done and what was left out."""
    every = [(contact_id, said) for contact_id, answers in told for said in answers]
    fresh = _fresh(every, now)
    counting = _without_overtaken(fresh)
    statements = [
        Statement(
            contact_id=contact_id,
            purpose=said.key,
            status=said.status,
            method=ConsentRecord.Method.IMPORT,
            source=said.source or source,
            wording_version=said.wording,
            is_explicit=False,
            said_at=said.said_at,
        )
        for contact_id, said in counting
    ]
    records = services.record_consents(statements=statements, now=now)
    refused = _denied(counting)
    ignored = sum(
        said.status == Status.GRANTED and (contact_id, said.key) in refused
        for contact_id, said in counting
    )
    return {
        RECORDED: len(records),
        OVERTAKEN: len(fresh) - len(counting) + ignored,
        TOO_OLD: len(every) - len(fresh),
    }


def tell(contact_ids: Sequence[int]) -> Mapping[int, Mapping[str, str]]:
    """What holds now, in the columns that read() understands."""
    states = ConsentState.objects.filter(contact__in=contact_ids).select_related("record")
    found: dict[int, dict[str, str]] = {}
    for state in states.exclude(status=Status.UNSAID):
        column = f"consent:{state.topic_id or state.purpose_id}"
        record = state.record
        said_at = record.evidence.get("said_at") or record.recorded_at.isoformat()
        found.setdefault(state.contact_id, {}).update(
            {
                column: "yes" if state.status == Status.GRANTED else "no",
                f"{column}:date": str(said_at),
                f"{column}:source": record.source,
                f"{column}:wording": record.wording_version,
            }
        )
    return found


def _names() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for model in (Purpose, Topic):
        found += model.objects.order_by("order", "key").values_list("key", "name")
    return found


def _status(text: str, key: str) -> str:
    word = text.casefold()
    if word in GRANTED:
        return Status.GRANTED
    if word in DENIED:
        return Status.DENIED
    raise BadCell(f"consent to {key}: neither yes nor no")


def _instant(text: str, key: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        instant = parse_instant(text)
    except BadInstant as problem:
        raise BadCell(f"consent to {key}: not a date such as 2026-01-31") from problem
    if instant > now + MAX_AHEAD:
        raise BadCell(f"consent to {key}: a date in the future")
    return min(instant, now)


def _short(text: str, limit: int, key: str) -> str:
    if len(text) > limit:
        raise BadCell(f"consent to {key}: a detail is longer than {limit} characters")
    return text


def _fresh(every: list[tuple[int, Said]], now: datetime) -> list[tuple[int, Said]]:
    """Without a yes that would have ended by now, as its purpose says."""
    rows = Purpose.objects.exclude(validity_months=None).values_list("key", "validity_months")
    ends = {key: now - MONTH * (months or 0) for key, months in rows}
    return [
        (contact_id, said)
        for contact_id, said in every
        if said.status == Status.DENIED
        or said.said_at is None
        or said.key not in ends
        or said.said_at > ends[said.key]
    ]


def _without_overtaken(every: list[tuple[int, Said]]) -> list[tuple[int, Said]]:
    """Without a yes that has no date, where the person says no."""
    refused = _denied(every)
    return [
        (contact_id, said)
        for contact_id, said in every
        if said.status == Status.DENIED
        or said.said_at is not None
        or (contact_id, said.key) not in refused
    ]


def _denied(every: Iterable[tuple[int, Said]]) -> set[tuple[int, str]]:
    states = ConsentState.objects.filter(
        contact__in={contact_id for contact_id, _ in every}, status=Status.DENIED
    )
    rows = states.values_list("contact_id", "purpose_id", "topic_id")
    return {(contact_id, topic or purpose) for contact_id, purpose, topic in rows}


# --- what files hold about people -----------------------------------------------------------------


def erase(subject: Subject, now: datetime, limit: int) -> int:
    """Let go of refused rows that name them, and of every file that is not at work right now."""
    words = [Q(cells__icontains=word) for word in subject.words]
    rows = ImportRow.objects.filter(reduce(or_, words, Q(pk__in=[])))
    ids = list(rows.values_list("pk", flat=True)[:limit])
    ImportRow.objects.filter(pk__in=ids).delete()
    waiting = ImportJob.objects.filter(finished_at=None, forgotten_at=None)
    for job in waiting.exclude(status__in=["checking", "running"]):
        uploads.forget(job=job, now=now)
    return len(ids)


def register() -> None:
    register_columns(
        ColumnSet(
            name="consent",
            label="Consent",
            order=10,
            columns=columns,
            read=read,
            write=write,
            tell=tell,
        )
    )
    register_holding(
        Holding(
            name="contact files",
            label="Files of contacts",
            order=55,
            fates={
                "contacts.ContactField": {Fate.IMPERSONAL: "key label help_text choices"},
                "contacts.ImportJob": {
                    Fate.IMPERSONAL: "uuid file_name encoding delimiter columns mapping constants"
                    " notes problem uploaded_by"
                },
                "contacts.ImportRow": {Fate.ERASED: "cells", Fate.IMPERSONAL: "reason"},
                "contacts.ImportedName": {Fate.HASHED: "name_hash"},
            },
            erase=erase,
        )
    )
