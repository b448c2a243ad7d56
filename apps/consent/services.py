"""Recording what people allow and refuse, and keeping addresses silent."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import OuterRef, Subquery

from apps.consent import ledger
from apps.consent.models import ConsentRecord, ConsentState, Purpose, Status, Suppression
from apps.consent.signals import consent_withdrawn
from apps.contacts.models import Contact
from apps.core.hashing import keyed_hash

Key = tuple[int, str]

_NEVER = datetime.min.replace(tzinfo=UTC)

# One writer per contact, in one order: so a chain can't fork and two batches can't lock each other.
_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('consent.ledger'), id)
FROM (
    SELECT DISTINCT (id %% 2147483647)::int AS id FROM unnest(%s::bigint[]) AS id ORDER BY 1
) AS ids
"""

# Said to us by the person, on our own page or through staff.
_DIRECT = {
    ConsentRecord.Method.ONE_CLICK,
    ConsentRecord.Method.UNSUBSCRIBE_PAGE,
    ConsentRecord.Method.COMPLAINT,
    ConsentRecord.Method.STAFF,
}


@dataclass(frozen=True)
class Statement:
    """What one contact says about one purpose, and how we know.

    `is_explicit` is False for a "yes" that doesn't tell how the person gave it. Such a repetition
    doesn't overturn what they told us directly: a shop that still holds the old "yes" and repeats
    it at every log-in can't undo an unsubscribe. A fresh act of theirs, such as a form, can.

    `said_at` is when it reached us, where it had to wait for its turn. A "yes" that isn't later
    than the last "no" is ignored, however late it is worked in; a "no" always counts.
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


@transaction.atomic
def record_consents(*, statements: list[Statement], now: datetime) -> list[ConsentRecord]:
    """Append what changes something to the ledger; repetitions add nothing."""
    statements = _about_known_purposes(statements)
    if not statements:
        return []
    contact_ids = {statement.contact_id for statement in statements}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [list(contact_ids)])
    # Read after the lock: whoever held it has committed.
    states = {
        (state.contact_id, state.purpose_id): state
        for state in ConsentState.objects.filter(contact__in=contact_ids).select_related("record")
    }
    records, changed = _changes(statements, states, _last_hashes(contact_ids), now)
    ConsentRecord.objects.bulk_create(records)
    newest = {(record.contact_id, record.purpose_id): record for record in records}
    _save_states(changed)
    _follow_up(newest, statements, now)
    return records


def verify_chain(contact: Contact) -> list[str]:
    """Name what is wrong with a contact's records; empty when they are whole."""
    records = list(ConsentRecord.objects.filter(contact=contact).order_by("id"))
    found = ledger.faults(records)
    newest = {record.purpose_id: record.pk for record in records}
    held = dict(ConsentState.objects.filter(contact=contact).values_list("purpose", "record"))
    if held != newest:
        found.append("The state does not match the newest records.")
    return found


def suppress(*, emails: Iterable[str], reason: str, now: datetime) -> int:
    """Never write to these addresses again; one already suppressed keeps the stronger reason."""
    hashes = [_email_hash(email) for email in set(emails)]
    rows = [
        Suppression(email_hash=email_hash, reason=reason, suppressed_at=now)
        for email_hash in sorted(hashes)
    ]
    known = set(
        Suppression.objects.filter(email_hash__in=hashes).values_list("email_hash", flat=True)
    )
    Suppression.objects.bulk_create(rows, ignore_conflicts=True)
    if reason != Suppression.Reason.UNSUBSCRIBED:
        Suppression.objects.filter(
            email_hash__in=hashes, reason=Suppression.Reason.UNSUBSCRIBED
        ).update(reason=reason, suppressed_at=now)
    return len(rows) - len(known)


def suppressed_among(emails: Iterable[str]) -> set[str]:
    """Return those of these addresses that are never to be written to."""
    by_hash = {_email_hash(email): email for email in emails}
    found = Suppression.objects.filter(email_hash__in=by_hash).values_list("email_hash", flat=True)
    return {by_hash[email_hash] for email_hash in found}


def is_suppressed(email: str) -> bool:
    return bool(suppressed_among([email]))


def find_suppression(email: str) -> Suppression | None:
    """Return why and since when an address is silent, or None."""
    return Suppression.objects.filter(email_hash=_email_hash(email)).first()


@transaction.atomic
def unsubscribe(*, contact: Contact, method: str, source: str, now: datetime) -> None:
    """Take back marketing consent and keep the address silent; twice is as good as once."""
    statement = Statement(
        contact_id=contact.pk,
        purpose=Purpose.EMAIL_MARKETING,
        status=Status.DENIED,
        method=method,
        source=source,
    )
    record_consents(statements=[statement], now=now)
    if contact.email:
        suppress(emails=[contact.email], reason=Suppression.Reason.UNSUBSCRIBED, now=now)


def _email_hash(email: str) -> str:
    return keyed_hash(f"email:{email.strip().lower()}")


def _about_known_purposes(statements: list[Statement]) -> list[Statement]:
    if not statements:
        return []
    purposes = set(Purpose.objects.values_list("key", flat=True))
    return [statement for statement in statements if statement.purpose in purposes]


def _last_hashes(contact_ids: Collection[int]) -> dict[int, str]:
    newest = ConsentRecord.objects.filter(contact=OuterRef("pk")).order_by("-id")
    rows = Contact.objects.filter(pk__in=contact_ids).annotate(
        last_hash=Subquery(newest.values("record_hash")[:1])
    )
    return {pk: last_hash or "" for pk, last_hash in rows.values_list("pk", "last_hash")}


def _changes(
    statements: list[Statement],
    states: dict[Key, ConsentState],
    hashes: dict[int, str],
    now: datetime,
) -> tuple[list[ConsentRecord], list[ConsentState]]:
    """Turn statements into sealed records, in their order, leaving out what changes nothing."""
    records = []
    changed: dict[Key, ConsentState] = {}
    for statement in statements:
        key = (statement.contact_id, statement.purpose)
        if statement.contact_id not in hashes:
            continue
        state = states.setdefault(key, ConsentState(contact_id=key[0], purpose_id=key[1]))
        said_at = statement.said_at or now
        is_change = _is_change(statement, state, said_at)
        if statement.status == Status.DENIED and said_at > (state.denied_at or _NEVER):
            state.denied_at, changed[key] = said_at, state
        if is_change:
            record = _seal(statement, now, hashes[statement.contact_id])
            hashes[statement.contact_id] = record.record_hash
            records.append(record)
            state.status, state.record, state.changed_at = record.status, record, now
            changed[key] = state
    return records, list(changed.values())


def _seal(statement: Statement, now: datetime, previous_hash: str) -> ConsentRecord:
    waited = {"said_at": statement.said_at.isoformat()} if statement.said_at else {}
    record = ConsentRecord(
        contact_id=statement.contact_id,
        purpose_id=statement.purpose,
        status=str(statement.status),
        method=str(statement.method),
        source=statement.source[:200],
        wording_version=statement.wording_version[:40],
        jurisdiction=statement.jurisdiction[:10],
        evidence=statement.evidence | waited,
        recorded_at=now,
        previous_hash=previous_hash,
    )
    record.record_hash = ledger.seal(record)
    return record


def _is_change(statement: Statement, state: ConsentState, said_at: datetime) -> bool:
    if state.status == statement.status:
        return False
    if statement.status == Status.DENIED:
        return True
    if said_at <= (state.denied_at or _NEVER):
        return False
    return statement.is_explicit or not state.status or state.record.method not in _DIRECT


def _save_states(changed: list[ConsentState]) -> None:
    ConsentState.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["contact", "purpose"],
        update_fields=["status", "record", "changed_at", "denied_at"],
    )


def _follow_up(
    newest: dict[Key, ConsentRecord], statements: list[Statement], now: datetime
) -> None:
    withdrawn: dict[str, list[int]] = defaultdict(list)
    granted = []
    for (contact_id, purpose), record in newest.items():
        if record.status == Status.DENIED:
            withdrawn[purpose].append(contact_id)
        elif purpose == Purpose.EMAIL_MARKETING:
            granted.append(contact_id)
    if granted:
        _lift_unsubscription(granted, statements)
    for purpose, contact_ids in withdrawn.items():
        consent_withdrawn.send(
            sender=ConsentRecord, contact_ids=sorted(contact_ids), purpose=purpose, now=now
        )


def _lift_unsubscription(granted: list[int], statements: list[Statement]) -> None:
    """Who explicitly agrees again may be written to again; bounces and complaints stay."""
    agreeing = {
        statement.contact_id
        for statement in statements
        if statement.is_explicit
        and (statement.purpose, statement.status) == (Purpose.EMAIL_MARKETING, Status.GRANTED)
    }
    emails = Contact.objects.filter(pk__in=agreeing.intersection(granted)).reachable()
    hashes = [_email_hash(email or "") for email in emails.values_list("email", flat=True)]
    Suppression.objects.filter(
        email_hash__in=hashes, reason=Suppression.Reason.UNSUBSCRIBED
    ).delete()
