"""Under which names we know a person."""

from apps.consent.registry import Subject
from apps.contacts.models import Contact, Identity


def subject_of(contact: Contact) -> Subject:
    """A contact who is there, with every name that leads to it."""
    named: dict[str, set[str]] = {kind: set() for kind in Identity.Kind.values}
    for kind, value in contact.identities.values_list("kind", "value"):
        named[kind].add(value)
    if contact.email:
        named[Identity.Kind.EMAIL].add(contact.email)
    if contact.external_id:
        named[Identity.Kind.USER_ID].add(contact.external_id)
    return Subject(
        contact_id=contact.pk,
        emails=tuple(sorted(named[Identity.Kind.EMAIL])),
        user_ids=tuple(sorted(named[Identity.Kind.USER_ID])),
        browsers=tuple(sorted(named[Identity.Kind.ANONYMOUS_ID])),
        full_names=(contact.name,) if contact.name else (),
    )
