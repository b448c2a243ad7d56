"""What other floors ask about people, and what staff does with them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q

from apps.contacts import identification
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
    "blank",
    "find_by_name",
    "find_by_uuid",
    "find_present",
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
    before = Contact.objects.filter(pk=contact.pk).first() or Contact()
    contact.save()
    names = ((Identity.Kind.EMAIL, contact.email), (Identity.Kind.USER_ID, contact.external_id))
    replaced = (before.email, before.external_id)
    for (kind, value), old in zip(names, replaced, strict=True):
        if old and old != value:
            contact.identities.filter(kind=kind, value=old).delete()
        if not value:
            continue
        identity, _ = Identity.objects.get_or_create(
            kind=kind, value=value, defaults={"contact": contact, "linked_at": now}
        )
        if identity.contact_id != contact.pk:
            raise NameTaken(f"Another contact is already known by {value}.")


@transaction.atomic
def blank(*, contact_id: int, now: datetime) -> list[tuple[str, str]]:
    """Let a contact stand for nobody from now on; return the names that led to it.

    Its number stays for what is counted. The uuid is a new one, so that old signed links are dead.
    Nobody can find it by any name, so nothing that arrives later is taken for its.
    """
    names = _names_of(contact_id)
    identification.lock_names(names)
    contact = Contact.objects.select_for_update().get(pk=contact_id)
    names += [name for name in _names_of(contact_id) if name not in names]
    contact.identities.all().delete()
    contact.uuid = uuid4()
    contact.email = contact.external_id = None
    contact.first_name = contact.last_name = contact.phone = ""
    contact.locale = contact.time_zone = contact.country = ""
    contact.attributes = {}
    contact.erased_at = now
    contact.save()
    # Who was merged into them has been empty since; what still led from there is dead, too.
    for merged in Contact.objects.filter(merged_into=contact):
        merged.uuid, merged.erased_at = uuid4(), now
        merged.save(update_fields=["uuid", "erased_at", "updated_at"])
    return names


def _names_of(contact_id: int) -> list[tuple[str, str]]:
    names = list(Identity.objects.filter(contact=contact_id).values_list("kind", "value"))
    own = Contact.objects.filter(pk=contact_id).values_list("email", "external_id")
    for email, user_id in own:
        pairs = ((Identity.Kind.EMAIL, email), (Identity.Kind.USER_ID, user_id))
        names += [(kind.value, value) for kind, value in pairs if value]
    return list(dict.fromkeys(names))


def find_present(contact_ids: Collection[int]) -> dict[int, int]:
    """Who these contacts are by now: themselves, or whom they were merged into; no one erased."""
    rows = Contact.objects.filter(pk__in=contact_ids)
    people = rows.values_list("pk", "merged_into", "erased_at", "merged_into__erased_at")
    return {
        pk: survivor or pk
        for pk, survivor, erased_at, survivor_erased_at in people
        if not erased_at and not survivor_erased_at
    }


def find_by_uuid(uuid: UUID) -> Contact | None:
    """Whom a link in an old mail is about, also after a merge."""
    found = Contact.objects.select_related("merged_into").filter(uuid=uuid).first()
    return found and (found.merged_into or found)


def find_by_name(name: str) -> Contact | None:
    """By uuid, or by any address that leads to somebody; nobody who was erased."""
    try:
        found = find_by_uuid(UUID(name))
    except ValueError:
        email = name.strip().lower()
        named = Q(email=email) | Q(identities__kind=Identity.Kind.EMAIL, identities__value=email)
        found = Contact.objects.present().filter(named).first()
    return None if found is None or found.erased_at else found


def mark_test(*, contact_ids: Collection[int], is_test: bool, now: datetime) -> int:
    """Say whether these contacts are there for trying things out; return how many changed."""
    others = Contact.objects.filter(pk__in=contact_ids).exclude(is_test=is_test)
    return others.update(is_test=is_test, updated_at=now)
