"""What the outbox lets go of with time."""

from datetime import datetime

from django.db.models import QuerySet

from apps.consent.registry import Store, register_store
from apps.messaging.models import Message, MessageContent, MessageReading
from apps.messaging.personal import IN_HAND

Status = Message.Status


def _contents(before: datetime) -> QuerySet[MessageContent]:
    return MessageContent.objects.filter(message__queued_at__lt=before)


def _drop_contents(before: datetime, now: datetime, limit: int) -> int:
    ids = list(_contents(before).values_list("pk", flat=True)[:limit])
    MessageContent.objects.filter(pk__in=ids).delete()
    return len(ids)


def _contexts(before: datetime) -> QuerySet[Message]:
    """Of mails that are through: what still waits is made of them."""
    rows = Message.objects.filter(queued_at__lt=before).exclude(
        context={}, gate=[], reason_values={}, email=""
    )
    return rows.exclude(status__in=[Status.QUEUED, *IN_HAND])


def _drop_contexts(before: datetime, now: datetime, limit: int) -> int:
    ids = list(_contexts(before).values_list("pk", flat=True)[:limit])
    MessageReading.objects.filter(message__in=ids).update(client="")
    return Message.objects.filter(pk__in=ids).update(
        context={}, gate=[], reason_values={}, email=""
    )


STORES = (
    Store(
        "message_contents",
        "Texts of mails",
        "What each mail said. That it was sent, and what came of it, stays; so do its links.",
        365,
        lambda before: _contents(before).count(),
        _drop_contents,
    ),
    Store(
        "message_contexts",
        "What mails were made of",
        "Of each mail the event behind it, the address it went to, and the answers of the gate. "
        "Afterwards nobody can say why it was sent.",
        730,
        lambda before: _contexts(before).count(),
        _drop_contexts,
    ),
)


def register() -> None:
    for store in STORES:
        register_store(store)
