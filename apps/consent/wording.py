"""Consents as the contact's page tells them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from apps.consent import policy, services
from apps.consent.models import (
    ConsentRecord,
    ConsentState,
    Jurisdiction,
    Purpose,
    Status,
    Topic,
)
from apps.contacts.models import Contact
from apps.contacts.registry import Entry
from apps.core.pages import object_url
from apps.core.viewing import lifted


def tell(records: Sequence[ConsentRecord]) -> list[Entry]:
    """Put records into words; their purposes and topics have to be loaded."""
    return [_entry(record) for record in records]


def _entry(record: ConsentRecord) -> Entry:
    is_granted = record.status == Status.GRANTED
    verb = "Allowed" if is_granted else "Refused"
    source = f", {record.source}" if record.source else ""
    about = f"{record.purpose.name}: {record.topic.name}" if record.topic else record.purpose.name
    return Entry(
        title=f"{verb} {about}",
        note=f"By {record.get_method_display()}{source}",
        icon="thumb_up" if is_granted else "block",
        tone="good" if is_granted else "danger",
        url=object_url(record),
        values=record.evidence,
    )


def read_panel(contact: Contact, now: datetime) -> dict[str, Any]:
    """What the contact allows, whether the proof is whole, and whether the address is silent."""
    states: dict[tuple[str, str | None], ConsentState] = {
        (state.purpose_id, state.topic_id): state
        for state in ConsentState.objects.filter(contact=contact).select_related("record")
    }
    topics = Topic.objects.order_by("order", "key")
    chosen = [(topic, states.get((str(topic.purpose_id), topic.pk))) for topic in topics]
    place = policy.jurisdictions_of([contact.pk]).get(contact.pk)
    law = Jurisdiction.objects.filter(Q(pk=place) if place else Q(is_fallback=True)).first()
    email = contact.whole().email
    with lifted():
        faults = services.verify_chain(contact)
    return {
        "consents": [
            (purpose, states.get((purpose.pk, None)))
            for purpose in Purpose.objects.order_by("order", "key")
        ],
        "topics": [(topic, state) for topic, state in chosen if topic.is_active or state],
        "jurisdiction": law,
        "faults": faults,
        "suppression": services.find_suppression(email) if email else None,
        "email": contact.email,
    }
