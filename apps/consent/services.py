"""Recording what people allow and refuse, and keeping addresses silent."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from uuid import UUID

from django.db import connection, transaction

from apps.consent import ledger, recording
from apps.consent.models import (
    ConsentRecord,
    ConsentState,
    LiftedSuppression,
    Purpose,
    Status,
    Suppression,
    WordingVersion,
)
from apps.consent.recording import Key
from apps.consent.recording import Statement as Statement
from apps.consent.signals import consent_withdrawn
from apps.contacts.models import Contact
from apps.core.hashing import keyed_hash

# One writer per contact, in one order: so a chain can't fork and two batches can't lock each other.
_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('consent.ledger'), id)
FROM (
    SELECT DISTINCT (id %% 2147483647)::int AS id FROM unnest(%s::bigint[]) AS id ORDER BY 1
) AS ids
"""

# From the weakest to the strongest: a stronger reason takes the place of a weaker one.
_STRENGTH = [
    Suppression.Reason.UNSUBSCRIBED,
    Suppression.Reason.ERASED,
    Suppression.Reason.IMPORTED,
    Suppression.Reason.MANUAL,
    Suppression.Reason.BOUNCED,
    Suppression.Reason.COMPLAINED,
]
# Whose states don't say what their newest records say.
_STATE_FAULTS = """
SELECT DISTINCT contact.uuid
FROM (
    SELECT contact_id, purpose_id, topic_id, max(id) AS record_id
    FROM consent_consentrecord GROUP BY contact_id, purpose_id, topic_id
) AS newest
FULL JOIN consent_consentstate AS state
    ON state.contact_id = newest.contact_id AND state.purpose_id = newest.purpose_id
    AND coalesce(state.topic_id, '') = coalesce(newest.topic_id, '')
LEFT JOIN consent_consentrecord AS held ON held.id = state.record_id
JOIN contacts_contact AS contact ON contact.id = coalesce(newest.contact_id, state.contact_id)
WHERE state.record_id IS DISTINCT FROM newest.record_id OR state.status <> held.status
"""
_CHUNK = 1000
STATE_FAULT = "The state does not match the newest records."
_PERSONAL = [
    "source", "source_url", "ip_network", "user_agent", "evidence",
    "salt", "personal_hash", "forgotten_at",
]  # fmt: skip


@transaction.atomic
def record_consents(*, statements: list[Statement], now: datetime) -> list[ConsentRecord]:
    """Append what changes something to the ledger; repetitions add nothing."""
    statements = recording.about_known(statements)
    if not statements:
        return []
    lock_ledgers({statement.contact_id for statement in statements})
    # Read after the lock: whoever held it has committed.
    ground = recording.read_ground(statements)
    if ground.survivors:
        lock_ledgers(set(ground.survivors.values()))
        statements = recording.about_survivors(statements, ground)
        ground = recording.read_ground(statements)
    records, changed = recording.changes(statements, ground, now)
    ConsentRecord.objects.bulk_create(records)
    recording.save_states(changed)
    newest = {(record.contact_id, record.purpose_id, record.topic_id): record for record in records}
    _follow_up(newest, statements, now)
    return records


def lock_ledgers(contact_ids: set[int]) -> None:
    """Let nobody else write to these people's ledgers until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [list(contact_ids)])


@transaction.atomic
def forget_evidence(
    *, contact: Contact, now: datetime, recorded_before: datetime | None = None
) -> int:
    """Erase what is personal in a contact's records; the chain still holds, and shows that it did.

    Return how many records forgot something.
    """
    lock_ledgers({contact.pk})
    rows = ConsentRecord.objects.filter(contact=contact, forgotten_at=None)
    if recorded_before is not None:
        rows = rows.filter(recorded_at__lt=recorded_before)
    records = list(rows)
    return forget_records(records=records, now=now)


@transaction.atomic
def forget_records(*, records: list[ConsentRecord], now: datetime) -> int:
    """Erase what is personal in these records; answer how many they were."""
    for record in records:
        ledger.forget(record, now)
    ConsentRecord.objects.bulk_update(records, _PERSONAL, batch_size=_CHUNK)
    return len(records)


def verify_chain(contact: Contact) -> list[str]:
    """Name what is wrong with a contact's records; empty when they are whole."""
    records = list(ConsentRecord.objects.filter(contact=contact).order_by("id"))
    found = ledger.faults(records)
    newest = {(record.purpose_id, record.topic_id): record.pk for record in records}
    states = ConsentState.objects.filter(contact=contact)
    held = {(state.purpose_id, state.topic_id): state.record_id for state in states}
    if held != newest:
        found.append(STATE_FAULT)
    return found


def verify_ledger() -> Iterator[tuple[UUID, int, list[str]]]:
    """Walk all chains in flat memory; yield each contact, its number of records and its faults."""
    rows = ConsentRecord.objects.order_by("contact_id", "id").select_related("contact")
    chains = groupby(rows.iterator(chunk_size=_CHUNK), key=lambda record: record.contact_id)
    for _, chain in chains:
        records = list(chain)
        found = ledger.faults(records)
        yield records[0].contact.uuid, len(records), found
    with connection.cursor() as cursor:
        cursor.execute(_STATE_FAULTS)
        for (contact_uuid,) in cursor.fetchall():
            yield contact_uuid, 0, [STATE_FAULT]


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
    weaker = _STRENGTH[: _STRENGTH.index(Suppression.Reason(reason))]
    Suppression.objects.filter(email_hash__in=hashes, reason__in=weaker).update(
        reason=reason, suppressed_at=now
    )
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


def keep_wording(
    *, purpose: str, version: str, language: str, text: str, now: datetime
) -> WordingVersion:
    """Keep a text for ever; records that name it bear its hash."""
    return WordingVersion.objects.create(
        purpose_id=purpose,
        version=version,
        language=language,
        text=text,
        text_hash=sha256(text.encode()).hexdigest(),
        created_at=now,
    )


class NotLifted(Exception):
    """The suppression is not there any more, or nobody said why it should go."""


@transaction.atomic
def lift_suppression(*, suppression_id: int, explanation: str, by: str, now: datetime) -> None:
    """Let an address be written to again, and keep who decided that and why."""
    found = Suppression.objects.select_for_update().filter(pk=suppression_id).first()
    if found is None:
        raise NotLifted("This address is not silent any more.")
    if not explanation.strip():
        raise NotLifted("Say why this address may be written to again.")
    LiftedSuppression.objects.create(
        email_hash=found.email_hash,
        reason=found.reason,
        suppressed_at=found.suppressed_at,
        lifted_at=now,
        lifted_by=by[:150],
        explanation=explanation.strip()[:300],
    )
    found.delete()


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


def _follow_up(
    newest: dict[Key, ConsentRecord], statements: list[Statement], now: datetime
) -> None:
    withdrawn: dict[str, list[int]] = defaultdict(list)
    granted = []
    for (contact_id, purpose, topic), record in newest.items():
        if topic is not None:
            continue
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
    """Who explicitly agrees again may be written to again, also after an erasure.

    Bounces and complaints stay.
    """
    agreeing = {
        statement.contact_id
        for statement in statements
        if statement.is_explicit
        and statement.topic is None
        and (statement.purpose, statement.status) == (Purpose.EMAIL_MARKETING, Status.GRANTED)
    }
    emails = Contact.objects.filter(pk__in=agreeing.intersection(granted)).reachable()
    hashes = [_email_hash(email or "") for email in emails.values_list("email", flat=True)]
    Suppression.objects.filter(
        email_hash__in=hashes,
        reason__in=Suppression.REVOCABLE,
    ).delete()
