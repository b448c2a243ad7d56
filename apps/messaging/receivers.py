"""What mail providers report through Anymail's webhooks."""

from typing import Any
from uuid import UUID

from anymail.signals import AnymailTrackingEvent, EventType, tracking
from django.dispatch import receiver
from django.utils import timezone

from apps.messaging import services

_REFUSED = {EventType.BOUNCED, EventType.REJECTED, EventType.FAILED}


@receiver(tracking, dispatch_uid="messaging.settle")
def settle(*, event: AnymailTrackingEvent, **_: Any) -> None:
    """Find our message by the key that we gave the provider; other mails are not ours to settle."""
    try:
        public_id = UUID(str((event.metadata or {}).get("message_id")))
    except ValueError:
        return
    now = event.timestamp or timezone.now()
    detail = event.mta_response or event.description or ""
    if event.event_type == EventType.DELIVERED:
        services.settle_delivered(public_id=public_id, now=now)
    elif event.event_type in _REFUSED:
        services.settle_bounced(public_id=public_id, detail=detail, now=now)
    elif event.event_type == EventType.COMPLAINED:
        services.settle_complained(public_id=public_id, detail=detail, now=now)
