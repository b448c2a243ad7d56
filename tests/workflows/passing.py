"""Events as the pipeline hands them to the workflows, and time passing."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.contacts.models import Contact
from apps.events.registry import Batch, ProcessedEvent
from apps.workflows import engine, projection
from apps.workflows.models import Enrollment
from tests.factories.events import EventFactory
from tests.instants import NOON

HOUR = timedelta(hours=1)


def after(hours: float = 0, *, minutes: float = 0) -> datetime:
    """So long after noon."""
    return NOON + timedelta(hours=hours, minutes=minutes)


def happen(
    contact: Contact,
    name: str = "Product Added",
    at: datetime = NOON,
    *,
    cart: str = "",
    received_at: datetime | None = None,
    is_backfill: bool = False,
    **properties: Any,
) -> ProcessedEvent:
    """Store an event of a contact, as the pipeline would."""
    event = EventFactory(
        contact=contact,
        name=name,
        properties=properties,
        occurred_at=at,
        received_at=received_at or at,
        is_backfill=is_backfill,
    )
    return ProcessedEvent(
        id=event.pk,
        contact_id=contact.pk,
        anonymous_id="",
        type="track",
        name=name,
        properties=properties,
        context={},
        source_id=event.source_id,
        message_id=event.message_id,
        is_trusted=True,
        is_backfill=is_backfill,
        received_at=event.received_at,
        occurred_at=at,
        keys={"cart": cart} if cart else {},
    )


def project(*events: ProcessedEvent, now: datetime | None = None) -> None:
    """Hand these events to the workflows as one batch, in a transaction as the pipeline does."""
    batch = Batch(now=now or events[-1].received_at, events=list(events))
    with transaction.atomic():
        projection.apply(batch)


def advance(now: datetime) -> int:
    """Move everyone who is due at that time."""
    done = 0
    while count := engine.advance(now=now):
        done += count
    return done


def only() -> Enrollment:
    """The one enrollment there is."""
    return Enrollment.objects.get()
