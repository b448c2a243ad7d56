"""From what people say to sealed records: what changes something, and what only repeats."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Subquery

from apps.consent import ledger, policy, provenance
from apps.consent.models import (
    ConsentRecord,
    ConsentState,
    Purpose,
    Status,
    Topic,
    WordingVersion,
)
from apps.contacts.models import Contact

Key = tuple[int, str, str | None]
Method = ConsentRecord.Method

# A yes said again prolongs one that ends some day; not by each click of a busy morning.
RENEWAL = timedelta(days=1)
_NEVER = datetime.min.replace(tzinfo=UTC)

# Said to us by the person, on our own pages, through their browser or through staff.
_DIRECT = {
    Method.ONE_CLICK,
    Method.UNSUBSCRIBE_PAGE,
    Method.PREFERENCE_CENTER,
    Method.DOUBLE_OPT_IN,
    Method.GPC,
    Method.COMPLAINT,
    Method.STAFF,
}


@dataclass(frozen=True)
class Statement:
    """What one contact says about one purpose, or one topic of it, and how we know.

    `is_explicit` is False for a "yes" that doesn't tell how the person gave it. Such a repetition
    doesn't overturn what they told us directly: a shop that still holds the old "yes" and repeats
    it at every log-in can't undo an unsubscribe. A fresh act of theirs, such as a form, can.

    `said_at` is when it reached us, where it had to wait for its turn. A "yes" that isn't later
    than the last "no" is ignored, however late it is worked in; a "no" always counts.

    `ip`, `user_agent` and `source_url` are given as they came; what is kept of them is less. Of a
    wording that staff has written down, the record keeps the hash; `language` says which text of
    that version it was, where there are several.
    """

    contact_id: int
    purpose: str
    status: str
    method: str
    source: str = ""
    wording_version: str = ""
    jurisdiction: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    is_explicit: bool = True
    said_at: datetime | None = None
    topic: str | None = None
    source_url: str = ""
    ip: str = ""
    user_agent: str = ""
    language: str = ""

    @property
    def key(self) -> Key:
        return (self.contact_id, self.purpose, self.topic)


@dataclass(frozen=True)
class Ground:
    """What has to be known to record a batch; read after the contacts are locked."""

    states: dict[Key, ConsentState]
    hashes: dict[int, str]
    places: Mapping[int, str]
    wordings: Mapping[tuple[str, str], Mapping[str, str]]
    ending: Collection[str]
    survivors: Mapping[int, int]


def about_known(statements: Iterable[Statement]) -> list[Statement]:
    """Leave out purposes and topics that nobody has declared.

    Events and imports name topics as they name purposes.
    """
    statements = list(statements)
    if not statements:
        return []
    purposes = set(Purpose.objects.values_list("key", flat=True))
    topics: dict[str, str] = {}
    if any(one.topic or one.purpose not in purposes for one in statements):
        topics = dict(Topic.objects.values_list("key", "purpose"))
    placed = (_place(statement, topics) for statement in statements)
    return [
        statement
        for statement in placed
        if statement.purpose in purposes
        and (statement.topic is None or topics.get(statement.topic) == statement.purpose)
    ]


def _place(statement: Statement, topics: Mapping[str, str]) -> Statement:
    if statement.topic is None and statement.purpose in topics:
        return replace(statement, purpose=topics[statement.purpose], topic=statement.purpose)
    return statement


def about_survivors(statements: list[Statement], ground: "Ground") -> list[Statement]:
    """What is said for a contact who was merged a moment ago is the survivor's word."""
    survivors = ground.survivors
    return [
        replace(one, contact_id=survivors.get(one.contact_id, one.contact_id)) for one in statements
    ]


def read_ground(statements: list[Statement]) -> Ground:
    contact_ids = {statement.contact_id for statement in statements}
    states = ConsentState.objects.filter(contact__in=contact_ids).select_related("record")
    ending = Purpose.objects.exclude(validity_months=None).values_list("key", flat=True)
    people = _people(contact_ids)
    return Ground(
        states={(state.contact_id, state.purpose_id, state.topic_id): state for state in states},
        hashes={pk: last_hash for pk, last_hash, _ in people},
        places=policy.jurisdictions_of(contact_ids),
        wordings=_wordings(statements),
        ending=frozenset(ending),
        survivors={pk: survivor for pk, _, survivor in people if survivor},
    )


def changes(
    statements: list[Statement], ground: Ground, now: datetime
) -> tuple[list[ConsentRecord], list[ConsentState]]:
    """Turn statements into sealed records, in their order, leaving out what changes nothing."""
    records = []
    changed: dict[Key, ConsentState] = {}
    for statement in statements:
        key, contact_id = statement.key, statement.contact_id
        if contact_id not in ground.hashes:
            continue
        fresh = ConsentState(contact_id=contact_id, purpose_id=key[1], topic_id=key[2])
        state = ground.states.setdefault(key, fresh)
        said_at = statement.said_at or now
        is_change = _is_change(statement, state, said_at) or (
            statement.purpose in ground.ending and _is_renewal(statement, state, said_at)
        )
        if statement.status == Status.DENIED and said_at > (state.denied_at or _NEVER):
            state.denied_at, changed[key] = said_at, state
        if is_change:
            record = _seal(statement, ground, now)
            ground.hashes[contact_id] = record.record_hash
            records.append(record)
            state.status, state.record, state.changed_at = record.status, record, now
            changed[key] = state
    return records, list(changed.values())


def save_states(changed: list[ConsentState]) -> None:
    ConsentState.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["contact", "purpose", "topic"],
        update_fields=["status", "record", "changed_at", "denied_at"],
    )


def _people(contact_ids: Collection[int]) -> list[tuple[int, str, int | None]]:
    """Each contact with the end of its chain, and whom it was merged into."""
    newest = ConsentRecord.objects.filter(contact=OuterRef("pk")).order_by("-id")
    rows = Contact.objects.filter(pk__in=contact_ids).annotate(
        last_hash=Subquery(newest.values("record_hash")[:1])
    )
    found = rows.values_list("pk", "last_hash", "merged_into")
    return [(pk, last_hash or "", survivor) for pk, last_hash, survivor in found]


def _wordings(statements: list[Statement]) -> dict[tuple[str, str], dict[str, str]]:
    """The hashes of the texts that the statements name, by language."""
    named = {statement.wording_version for statement in statements} - {""}
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    if named:
        rows = WordingVersion.objects.filter(version__in=named)
        for purpose, version, language, text_hash in rows.values_list(
            "purpose", "version", "language", "text_hash"
        ):
            found[purpose, version][language] = text_hash
    return found


def _is_change(statement: Statement, state: ConsentState, said_at: datetime) -> bool:
    if state.status == statement.status:
        return False
    if statement.status == Status.DENIED:
        return True
    if said_at <= (state.denied_at or _NEVER):
        return False
    return statement.is_explicit or not state.status or state.record.method not in _DIRECT


def _is_renewal(statement: Statement, state: ConsentState, said_at: datetime) -> bool:
    """Whether somebody says yes again, by an act of their own, to what would end some day."""
    is_repeated = statement.status == Status.GRANTED == state.status
    return is_repeated and statement.is_explicit and said_at - state.changed_at >= RENEWAL


def _seal(statement: Statement, ground: Ground, now: datetime) -> ConsentRecord:
    waited = {"said_at": statement.said_at.isoformat()} if statement.said_at else {}
    jurisdiction = statement.jurisdiction or ground.places.get(statement.contact_id, "")
    record = ConsentRecord(
        contact_id=statement.contact_id,
        purpose_id=statement.purpose,
        topic_id=statement.topic,
        status=str(statement.status),
        method=str(statement.method),
        source=statement.source[:200],
        source_url=provenance.page_of(statement.source_url),
        ip_network=provenance.network_of(statement.ip),
        user_agent=provenance.browser_of(statement.user_agent),
        wording_version=statement.wording_version[:40],
        wording_hash=_wording_hash(statement, ground),
        jurisdiction=jurisdiction[:10],
        evidence=statement.evidence | waited,
        recorded_at=now,
        previous_hash=ground.hashes[statement.contact_id],
    )
    ledger.seal(record)
    return record


def _wording_hash(statement: Statement, ground: Ground) -> str:
    """Of the text that was shown; nothing where it can't be told which one it was."""
    texts = ground.wordings.get((statement.purpose, statement.wording_version), {})
    if statement.language in texts:
        return texts[statement.language]
    return next(iter(texts.values())) if len(texts) == 1 else ""
