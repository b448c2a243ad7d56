"""What mail providers report through Anymail's webhooks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason, tracking
from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from apps.consent import purposes
from apps.consent.signals import mail_wanted
from apps.core.nudge import nudge
from apps.messaging import reading, servicemail, services

# Whoever reports this about our key has the mail.
TAKEN = {EventType.QUEUED, EventType.SENT, EventType.OPENED, EventType.CLICKED}
# How providers say that it may work another time; Anymail calls all of them bounces.
SOFT = {
    ("type", "softbounce"),  # Postmark
    ("event", "soft_bounce"),  # Brevo, Mandrill
    ("type", "blocked"),  # SendGrid
    ("type", "soft_bounced"),  # MailerSend
    ("bouncetype", "transient"),  # Amazon SES
    ("bouncetype", "undetermined"),
    ("hard_bounce", "false"),  # Mailjet
    *(("bounce_class", number) for number in ("20", "21", "22", "23", "70")),  # SparkPost
}


def install_texts(**_: Any) -> None:
    """Publish the service mails that are missing, after the migrations."""
    purposes.install()
    names = {
        "confirm-signup": "Please confirm your sign-up",
        "privacy-confirm": "Privacy request: is it you?",
        "privacy-ready": "Privacy request: your data is ready",
    }
    for key, name in names.items():
        servicemail.install_text(key=key, name=name, now=timezone.now())


@receiver(mail_wanted, dispatch_uid="messaging.queue_service_mail")
def queue_service_mail(
    *,
    send_key: str,
    template_key: str,
    email: str,
    values: dict[str, Any],
    now: datetime,
    **_: Any,
) -> None:
    """Write what a floor below asks for; whoever asked is answered before it goes out."""
    servicemail.queue(
        send_key=send_key, template_key=template_key, email=email, values=values, now=now
    )
    transaction.on_commit(nudge, robust=True)


@receiver(tracking, dispatch_uid="messaging.settle")
def settle(*, event: AnymailTrackingEvent, **_: Any) -> None:
    """Find our message by the key that we gave the provider; other mails are not ours to settle."""
    public_id = _read_key(event.metadata)
    if public_id is None:
        return
    now = event.timestamp or timezone.now()
    if event.event_type in TAKEN:
        services.settle_taken(public_id=public_id, now=now)
        _note_reading(event, public_id, now)
    elif event.event_type == EventType.DELIVERED:
        services.settle_delivered(public_id=public_id, now=now)
    elif event.event_type == EventType.UNSUBSCRIBED:
        services.settle_unsubscribed(public_id=public_id, now=now)
    else:
        _settle_trouble(event, public_id, now)


def _note_reading(event: AnymailTrackingEvent, public_id: UUID, now: datetime) -> None:
    """Postmark tells with an open for how many seconds it saw the mail, up to 20."""
    told = event.esp_event.get("ReadSeconds") if isinstance(event.esp_event, dict) else None
    if type(told) is not int or reading.is_machine(event.user_agent or ""):
        return
    if 0 < told <= reading.MOST.total_seconds():
        services.record_reading(public_id=public_id, reported=timedelta(seconds=told), now=now)


def _settle_trouble(event: AnymailTrackingEvent, public_id: UUID, now: datetime) -> None:
    about: dict[str, Any] = {
        "public_id": public_id,
        "detail": event.mta_response or event.description or "",
        "now": now,
    }
    match event.event_type, event.reject_reason:
        case EventType.DEFERRED, _:
            services.settle_deferred(**about)
        case EventType.COMPLAINED, _:
            services.settle_complained(**about)
        case EventType.BOUNCED, _:
            services.settle_bounced(is_hard=_is_hard(event), **about)
        case EventType.REJECTED, (RejectReason.INVALID | RejectReason.BOUNCED):
            services.settle_bounced(is_hard=True, **about)
        case EventType.REJECTED, RejectReason.SPAM:
            services.settle_complained(**about)
        case EventType.REJECTED, RejectReason.UNSUBSCRIBED:
            services.settle_failed(**about)
            services.settle_unsubscribed(public_id=public_id, now=now)
        case ((EventType.REJECTED | EventType.FAILED), _):
            services.settle_failed(**about)


def _read_key(metadata: object) -> UUID | None:
    if not isinstance(metadata, dict):
        return None
    try:
        return UUID(str(metadata.get("message_id")))
    except ValueError:
        return None


def _is_hard(event: AnymailTrackingEvent) -> bool:
    """Whether the address does not work, rather than its mailbox being full today."""
    if event.reject_reason not in (None, RejectReason.INVALID, RejectReason.BOUNCED):
        return False
    return SOFT.isdisjoint(_told(event.esp_event))


def _told(raw: object) -> Iterator[tuple[str, str]]:
    """Each name with its value, at any depth of a provider's own words."""
    if isinstance(raw, dict):
        for name, value in raw.items():
            yield str(name).lower(), str(value).lower()
            yield from _told(value)
