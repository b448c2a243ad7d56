"""Consents as the contact's page tells them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apps.consent import services
from apps.consent.models import ConsentRecord, ConsentState, Purpose, Status
from apps.contacts.models import Contact
from apps.contacts.registry import Entry
from apps.core.pages import object_url
from apps.core.viewing import lifted


def tell(records: Sequence[ConsentRecord]) -> list[Entry]:
    """Put records into words; their purposes have to be loaded."""
    return [_entry(record) for record in records]


def _entry(record: ConsentRecord) -> Entry:
    is_granted = record.status == Status.GRANTED
    verb = "Allowed" if is_granted else "Refused"
    source = f", {record.source}" if record.source else ""
    return Entry(
        title=f"{verb} {record.purpose.name}",
        note=f"By {record.get_method_display()}{source}",
        icon="thumb_up" if is_granted else "block",
        tone="good" if is_granted else "danger",
        url=object_url(record),
        values=record.evidence,
    )


def read_panel(contact: Contact, now: datetime) -> dict[str, Any]:
    """What the contact allows, whether the proof is whole, and whether the address is silent."""
    states = {
        state.purpose_id: state
        for state in ConsentState.objects.filter(contact=contact).select_related("record")
    }
    email = contact.whole().email
    with lifted():
        faults = services.verify_chain(contact)
    return {
        "consents": [
            (purpose, states.get(purpose.pk)) for purpose in Purpose.objects.order_by("key")
        ],
        "faults": faults,
        "suppression": services.find_suppression(email) if email else None,
        "email": contact.email,
    }
