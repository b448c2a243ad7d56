"""What other floors ask about people, and what staff does with them."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from apps.contacts.addresses import normalize_email
from apps.contacts.directory import Claim, Directory, Mode
from apps.contacts.identification import Resolution, resolve
from apps.contacts.models import Contact, Identity

__all__ = [
    "Claim",
    "Directory",
    "Mode",
    "NameTaken",
    "Resolution",
    "mark_test",
    "normalize_email",
    "resolve",
    "save_contact",
]


class NameTaken(Exception):
    """Events already find another contact by this address or user ID."""


@transaction.atomic
def save_contact(*, contact: Contact, now: datetime) -> None:
    """Store what staff has entered, and let events find the contact by its names from now on.

    An address or user ID that was replaced leads nowhere any more. Raises NameTaken.
    """
    contact.save()
    names = ((Identity.Kind.EMAIL, contact.email), (Identity.Kind.USER_ID, contact.external_id))
    for kind, value in names:
        contact.identities.filter(kind=kind).exclude(value=value or "").delete()
        if not value:
            continue
        identity, _ = Identity.objects.get_or_create(
            kind=kind, value=value, defaults={"contact": contact, "linked_at": now}
        )
        if identity.contact_id != contact.pk:
            raise NameTaken(f"Another contact is already known by {value}.")


def mark_test(*, contact_ids: Collection[int], is_test: bool, now: datetime) -> int:
    """Say whether these contacts are there for trying things out; return how many changed."""
    others = Contact.objects.filter(pk__in=contact_ids).exclude(is_test=is_test)
    return others.update(is_test=is_test, updated_at=now)
