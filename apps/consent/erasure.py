"""Erasure (GDPR Art. 17, CCPA §1798.105): afterwards nothing here holds the person.

It begins in one transaction, after which nothing is done with the person any more: the address is
silent for good, the contact stands for nobody and no name leads to it, mails are called off,
workflows left. The rest goes in batches, holding by holding, and may be broken off and taken up
again at any point: what is left to do is what is still there.
"""

import time
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from apps.consent import services
from apps.consent.models import Erasure, Suppression
from apps.consent.registry import Holding, NotYet, Subject, holdings
from apps.contacts import services as contacts
from apps.contacts.models import Contact, Identity
from apps.contacts.registry import Merge, NotNow, merge_locks
from apps.core.signals import personal_data_accessed

BATCH = 2_000
PAUSE = 0.5
# Longer than any lease: whoever held something has let go of it or is dead.
PATIENCE = 150

Pause = Callable[[float], None]


@transaction.atomic
def begin(*, contact: Contact, by: str, now: datetime) -> Erasure:
    """Stop everything about a contact and make it nobody; once begun, it stays begun."""
    stand_still(contact_id=contact.pk, now=now)
    Contact.objects.select_for_update().get(pk=contact.pk)
    begun = Erasure.objects.filter(contact_id=contact.pk).first()
    if begun is not None:
        return begun
    contact.refresh_from_db()
    full_name, phone = contact.name, contact.phone
    names = contacts.blank(contact_id=contact.pk, now=now)
    subject = Subject(
        contact_id=contact.pk,
        emails=_of(Identity.Kind.EMAIL, names),
        user_ids=_of(Identity.Kind.USER_ID, names),
        browsers=_of(Identity.Kind.ANONYMOUS_ID, names),
        full_names=(full_name,) if full_name else (),
        phones=(phone,) if phone else (),
    )
    services.suppress(emails=subject.emails, reason=Suppression.Reason.ERASED, now=now)
    for holding in holdings():
        if holding.stop:
            holding.stop(subject, now)
    personal_data_accessed.send(
        sender=Erasure,
        user=None,
        kind="erase",
        what=f"everything, by {by}",
        contact_ids=[contact.pk],
        count=1,
        path="",
        now=now,
    )
    return Erasure.objects.create(
        contact_id=contact.pk, names=_written(subject), by=by[:150], started_at=now
    )


def stand_still(*, contact_id: int, now: datetime) -> None:
    """Wait for what is being done with somebody, and let nothing new begin.

    Taken before any other lock, in the order in which a merge takes them: whoever is waited for
    must not wait for us.
    """
    job = Merge(contact_id, contact_id, now, merged_at=now)
    for lock in merge_locks():
        try:
            lock.take(job)
        except NotNow:
            # A mail is on its way; finish() waits for it.
            continue


def finish(*, erasure: Erasure, now: datetime, pause: Pause = time.sleep) -> bool:
    """Erase what is left; answer whether all is gone. Raises nothing that a second try mends."""
    subject = _subject(erasure)
    for _ in range(PATIENCE):
        # Each gets its turn, whether or not the one before has to wait.
        done = [_erase(holding, erasure, subject, now) for holding in holdings()]
        if all(done):
            return _close(erasure, now)
        pause(PAUSE)
    return False


def finish_all(*, now: datetime, pause: Pause = time.sleep) -> int:
    """Go on with whatever was broken off; answer how many are done."""
    return sum(finish(erasure=row, now=now, pause=pause) for row in Erasure.objects.unfinished())


def _erase(holding: Holding, erasure: Erasure, subject: Subject, now: datetime) -> bool:
    """Erase what one holding has, batch by batch; answer whether nothing is left of it."""
    name = holding.name
    try:
        while count := _batch(holding.erase, subject, now):
            erasure.counts[name] = erasure.counts.get(name, 0) + count
            erasure.save(update_fields=["counts"])
    except NotYet:
        return False
    return True


@transaction.atomic
def _batch(erase: Callable[[Subject, datetime, int], int], subject: Subject, now: datetime) -> int:
    return erase(subject, now, BATCH)


def _close(erasure: Erasure, now: datetime) -> bool:
    erasure.names, erasure.finished_at = {}, now
    erasure.save(update_fields=["names", "finished_at"])
    return True


def _of(kind: Identity.Kind, names: list[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(value for one, value in names if one == kind)


def _written(subject: Subject) -> dict[str, list[str]]:
    return {
        "emails": list(subject.emails),
        "user_ids": list(subject.user_ids),
        "browsers": list(subject.browsers),
        "full_names": list(subject.full_names),
        "phones": list(subject.phones),
    }


def _subject(erasure: Erasure) -> Subject:
    names = {name: tuple(values) for name, values in erasure.names.items()}
    return Subject(contact_id=erasure.contact_id, **names)
