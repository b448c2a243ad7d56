"""What the outbox holds about people."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q

from apps.consent.registry import Fate, Holding, NotYet, Subject, Table, register_holding
from apps.messaging import servicemail
from apps.messaging.models import Message, MessageContent, MessageReading, ServiceMail

REASON = "erased"
Status = Message.Status
# A worker has it in hand, and writes down in a moment what became of it.
IN_HAND = (Status.CLAIMED, Status.SENDING)


def stop(subject: Subject, now: datetime) -> None:
    """Call off what waits; a mail that is being handed over right now is out of our hands."""
    _cancel(subject, now)
    for email in subject.emails:
        servicemail.cancel(email=email, now=now)


def erase(subject: Subject, now: datetime, limit: int) -> int:
    _cancel(subject, now)
    rows = Message.objects.filter(contact_id=subject.contact_id)
    if rows.filter(status__in=IN_HAND).exists():
        raise NotYet
    if ServiceMail.objects.filter(email__in=subject.emails).exists():
        for email in subject.emails:
            servicemail.cancel(email=email, now=now)
        raise NotYet
    contents = MessageContent.objects.filter(message__contact_id=subject.contact_id)
    written = list(contents.values_list("pk", flat=True)[:limit])
    MessageContent.objects.filter(pk__in=written).delete()
    told = rows.exclude(
        Q(email="", provider_id="") & Q(context={}) & Q(reason_values={}) & Q(gate=[])
    )
    ids = list(told.values_list("pk", flat=True)[:limit])
    Message.objects.filter(pk__in=ids).update(
        email="", provider_id="", context={}, reason_values={}, gate=[]
    )
    return len(written) + len(ids) + _forget_clients(subject, limit)


def _forget_clients(subject: Subject, limit: int) -> int:
    """For how long mails were read stays, as a number; who read them doesn't."""
    rows = MessageReading.objects.filter(message__contact_id=subject.contact_id).exclude(client="")
    ids = list(rows.values_list("pk", flat=True)[:limit])
    return MessageReading.objects.filter(pk__in=ids).update(client="")


def _cancel(subject: Subject, now: datetime) -> None:
    queued = Message.objects.filter(contact_id=subject.contact_id, status=Status.QUEUED)
    queued.update(status=Status.SKIPPED, reason=REASON, closed_at=now)


def read(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    rows = Message.objects.filter(contact_id=subject.contact_id).order_by("queued_at", "pk")
    rows = rows.select_related("content", "reading", "template_version__template")
    for message in rows.iterator(200):
        content = getattr(message, "content", None)
        reading = getattr(message, "reading", None)
        template = message.template_version and message.template_version.template.name
        yield {
            "mail": template or message.step_id,
            "address": message.email,
            "status": message.status,
            "reason": message.reason,
            "purpose": message.purpose_id,
            "legal_basis": message.legal_basis,
            "consent_record": message.consent_record_id,
            "queued_at": message.queued_at,
            "sent_at": message.sent_at,
            "opened_at": message.opened_at,
            "clicked_at": message.clicked_at,
            "pixel_loads": reading.load_count if reading else 0,
            "read_for_about": reading.duration.total_seconds() if reading else None,
            "subject": content.subject if content else "",
            "text": content.text if content else "",
            "checks": message.gate,
            "shown": message.context,
        }


def read_recipients(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    """Who got the data (GDPR Art. 15 (1) c): whoever delivers the mails."""
    sent = Message.objects.filter(contact_id=subject.contact_id).exclude(sent_at=None)
    found = sent.aggregate(count=Count("pk"), first=Min("sent_at"), last=Max("sent_at"))
    if found["count"]:
        yield {
            "recipient": "the mail service that delivers for us",
            "data": "address, name where it stands in the mail, contents of the mails",
            "mails": found["count"],
            "first_at": found["first"],
            "last_at": found["last"],
        }


def register() -> None:
    register_holding(
        Holding(
            name="messaging",
            label="Mails",
            order=40,
            fates={
                "messaging.Template": {Fate.IMPERSONAL: "key name"},
                "messaging.TemplateVersion": {Fate.IMPERSONAL: "subject html"},
                "messaging.Message": {
                    Fate.ERASED: "context reason_values gate email provider_id",
                    Fate.IMPERSONAL: "public_id send_key origin_type step_id reason",
                },
                "messaging.MessageReading": {Fate.ERASED: "client"},
                "messaging.MessageContent": {Fate.ERASED: "subject html text links"},
                "messaging.ServiceMail": {
                    Fate.ERASED: "email values",
                    Fate.IMPERSONAL: "public_id send_key reason provider_id",
                },
            },
            stop=stop,
            erase=erase,
            tables=(
                Table("recipients", "Who else got your data", read_recipients),
                Table("mails", "Mails to you, and mails held back", read),
            ),
        )
    )
