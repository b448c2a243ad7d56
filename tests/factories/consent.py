"""Consents, given and taken back the way the product does it."""

from datetime import datetime

from apps.consent import services
from apps.consent.models import ConsentRecord, ConsentState, Status
from apps.contacts.models import Contact


def grant(contact: Contact, purpose: str, now: datetime) -> ConsentRecord:
    """Let a contact allow a purpose; return the record that proves it."""
    return _state(contact, purpose, Status.GRANTED, now)


def deny(contact: Contact, purpose: str, now: datetime) -> ConsentRecord:
    """Let a contact refuse a purpose, or take it back; return the record."""
    return _state(contact, purpose, Status.DENIED, now)


def _state(contact: Contact, purpose: str, status: Status, now: datetime) -> ConsentRecord:
    statement = services.Statement(
        contact_id=contact.pk,
        purpose=purpose,
        status=status,
        method=ConsentRecord.Method.FORM,
        source="tests",
    )
    services.record_consents(statements=[statement], now=now)
    state = ConsentState.objects.select_related("record").get(contact=contact, purpose=purpose)
    return state.record
