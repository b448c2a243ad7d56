"""What can be done with texts and messages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.models import Max, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from apps.consent import policy
from apps.consent import services as consent
from apps.consent.models import ConsentRecord, Purpose, Suppression
from apps.contacts import services as contacts
from apps.contacts.models import Contact
from apps.events import services as events
from apps.messaging import publishing, reading
from apps.messaging.models import Message, MessageQuerySet, Template, TemplateVersion

OPENED = "Email Opened"
CLICKED = "Email Clicked"


def publish(*, template: Template, subject: str, html: str, now: datetime) -> TemplateVersion:
    """Make a text the one that is sent from now on; raise TemplateError if it can't be."""
    prepared = publishing.prepare(subject=subject, html=html, is_service=template.is_service)
    with transaction.atomic():
        Template.objects.select_for_update().get(pk=template.pk)
        newest = template.versions.aggregate(newest=Max("number"))["newest"] or 0
        return TemplateVersion.objects.create(
            template=template, number=newest + 1, subject=subject, html=prepared, published_at=now
        )


# --- queueing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """One mail that somebody should get; `send_key` names the occasion, which never repeats."""

    send_key: str
    contact_id: int
    template_key: str
    origin_type: str
    origin_id: int
    step_id: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    purpose: str = ""
    priority: int = 0


_QUEUE = """
INSERT INTO messaging_message (
    public_id, send_key, contact_id, template_version_id, purpose_id, topic_id, context,
    origin_type, origin_id, step_id, status, reason, reason_values, gate, priority, due_at, attempt,
    failure_count, email, provider_id, queued_at, closed_at
)
SELECT gen_random_uuid(), send_key, contact_id, version_id, purpose, topic, context,
    origin_type, origin_id, step_id, CASE WHEN version_id IS NULL THEN 'skipped' ELSE 'queued' END,
    CASE WHEN version_id IS NULL THEN 'no_published_template' ELSE '' END, reason_values, '[]',
    priority, %(now)s, 0, 0, '', '', %(now)s, CASE WHEN version_id IS NULL THEN %(now)s END
FROM json_to_recordset(%(rows)s::json) AS new (
    send_key text, contact_id bigint, version_id bigint, purpose text, topic text, context jsonb,
    origin_type text, origin_id bigint, step_id text, reason_values jsonb, priority int
)
ON CONFLICT (send_key) DO NOTHING
"""


NO_TEXT = (None, Purpose.EMAIL_MARKETING, None)


def queue_messages(*, requests: Sequence[MessageRequest], now: datetime) -> int:
    """Write the ledger rows of these mails in one statement; answer how many are new.

    Call inside the transaction that decides on them. Where a template has no published text, the
    message is written as skipped, so that the reason shows.
    """
    if not requests:
        return 0
    texts = _newest_texts({request.template_key for request in requests})
    rows = [_row(request, *texts.get(request.template_key, NO_TEXT)) for request in requests]
    with connection.cursor() as cursor:
        # As one JSON text: quoting an array for each column costs several times as much.
        cursor.execute(_QUEUE, {"rows": msgspec.json.encode(rows).decode(), "now": now})
        return int(cursor.rowcount)


def _row(
    request: MessageRequest, version_id: int | None, purpose: str, topic: str | None
) -> dict[str, Any]:
    return {
        "send_key": request.send_key,
        "contact_id": request.contact_id,
        "version_id": version_id,
        "purpose": request.purpose or purpose,
        "topic": topic if request.purpose in ("", purpose) else None,
        "context": request.context,
        "origin_type": request.origin_type,
        "origin_id": request.origin_id,
        "step_id": request.step_id,
        "reason_values": {} if version_id else {"template": request.template_key},
        "priority": request.priority,
    }


def _newest_texts(template_keys: set[str]) -> dict[str, tuple[int | None, str, str | None]]:
    """By template: its newest published version, if there is one, its purpose and its topic."""
    published = TemplateVersion.objects.filter(
        template=OuterRef("pk"), published_at__isnull=False
    ).order_by("-number")
    # A service mail asks strangers to confirm something; it goes its own way.
    templates = Template.objects.filter(key__in=template_keys, is_service=False)
    found = templates.annotate(newest=Subquery(published.values("pk")[:1]))
    rows = found.values_list("key", "newest", "purpose_id", "topic_id")
    return {key: (version_id, purpose, topic) for key, version_id, purpose, topic in rows}


# --- what recipients do ---------------------------------------------------------------------------


def record_open(*, public_id: UUID, now: datetime, client: str = "") -> None:
    """Tell the event log that a mail was opened; a message that is gone is nothing to tell.

    `client` is whoever loaded the pixel, where a person may be behind it: that counts as reading.
    """
    if _record(OPENED, public_id, now, key="open", properties={}) and client:
        reading.note_load(public_id=public_id, client=client, now=now)


def record_reading(*, public_id: UUID, reported: timedelta, now: datetime) -> None:
    """Keep how long a mail was read, as its provider tells, if its person allows that."""
    contact = Message.objects.filter(public_id=public_id).values_list("contact_id", flat=True)
    contact_id = contact.first()
    if contact_id is not None and _may_record(contact_id, now):
        reading.note_report(public_id=public_id, reported=reported)


def record_click(*, public_id: UUID, target: str, now: datetime) -> None:
    """Tell the event log that a link was followed."""
    key = f"click-{sha256(target.encode()).hexdigest()[:16]}"
    _record(CLICKED, public_id, now, key=key, properties={"url": target})


def _record(
    name: str, public_id: UUID, now: datetime, *, key: str, properties: dict[str, Any]
) -> bool:
    """Write one event a minute at most, however often a mail program repeats the request.

    Answer whether it may be noted at all.
    """
    message = (
        Message.objects.filter(public_id=public_id)
        .values("contact_id", "template_version__template__key", "origin_type", "step_id")
        .first()
    )
    if message is None or not _may_record(message["contact_id"], now):
        return False
    events.record_internal(
        name=name,
        contact_id=message["contact_id"],
        message_id=f"{public_id.hex}-{key}-{now:%Y%m%d%H%M}",
        properties={
            "message_id": str(public_id),
            "template": message["template_version__template__key"],
            **properties,
        },
        now=now,
    )
    return True


def _may_record(contact_id: int, now: datetime) -> bool:
    """A pixel sent before its person said no is answered all the same, and tells us nothing."""
    decisions = policy.decide(contacts=[contact_id], purpose=Purpose.OPEN_TRACKING, at=now)
    return decisions[contact_id].is_allowed


@transaction.atomic
def unsubscribe(
    *, contact_uuid: UUID, public_id: UUID, method: ConsentRecord.Method, now: datetime
) -> None:
    """Withdraw the consent behind a mail; doing it twice, or after an erasure, is no error."""
    contact = contacts.find_by_uuid(contact_uuid)
    if contact is not None:
        consent.unsubscribe(contact=contact, method=method, source=f"message {public_id}", now=now)
        _suppress(public_id, Suppression.Reason.UNSUBSCRIBED, now)


# --- what providers tell --------------------------------------------------------------------------

DOUBTFUL = Q(status__in=["sending", "in_doubt"])
UNSETTLED = DOUBTFUL | Q(status="sent")
# A provider may first have tried for days, or delivered what comes back later.
REFUSABLE = UNSETTLED | Q(status="delivered") | Q(status="bounced", reason="soft_bounced")
TAKEN_AT = Coalesce("sent_at", "gated_at")


def settle_taken(*, public_id: UUID, now: datetime) -> int:
    """The provider knows our key, so it has the mail; that ends any doubt."""
    messages = Message.objects.filter(DOUBTFUL, public_id=public_id)
    sent = Message.Status.SENT
    return messages.update(
        status=sent, reason="", reason_values={}, sent_at=TAKEN_AT, closed_at=now
    )


def settle_deferred(*, public_id: UUID, detail: str, now: datetime) -> int:
    """The recipient's server lets the provider wait; nothing more is known yet."""
    messages = Message.objects.filter(UNSETTLED, public_id=public_id)
    return messages.update(
        status=Message.Status.SENT,
        reason="deferred",
        reason_values={"answer": detail[:300]},
        sent_at=TAKEN_AT,
        closed_at=Coalesce("closed_at", Value(now)),
    )


def settle_delivered(*, public_id: UUID, now: datetime) -> int:
    """The provider has delivered it, which also ends any doubt."""
    messages = Message.objects.filter(UNSETTLED, public_id=public_id)
    delivered = Message.Status.DELIVERED
    return messages.update(
        status=delivered, reason="", reason_values={}, sent_at=TAKEN_AT, closed_at=now
    )


def settle_failed(*, public_id: UUID, detail: str, now: datetime) -> int:
    """The provider has not sent it, for a reason that says nothing about the address."""
    messages = Message.objects.filter(UNSETTLED, public_id=public_id)
    return _settle_refused(messages, Message.Status.FAILED, "provider_failed", detail, now)


@transaction.atomic
def settle_bounced(*, public_id: UUID, is_hard: bool, detail: str, now: datetime) -> int:
    """It came back; if the address does not work, nothing is sent there any more."""
    messages = Message.objects.filter(REFUSABLE, public_id=public_id)
    reason = "bounced" if is_hard else "soft_bounced"
    count = _settle_refused(messages, Message.Status.BOUNCED, reason, detail, now)
    if count and is_hard:
        _suppress(public_id, Suppression.Reason.BOUNCED, now)
    return count


@transaction.atomic
def settle_complained(*, public_id: UUID, detail: str, now: datetime) -> int:
    """The recipient called it spam, which withdraws the consent for good."""
    messages = Message.objects.filter(REFUSABLE, public_id=public_id)
    count = _settle_refused(messages, Message.Status.COMPLAINED, "complained", detail, now)
    if count:
        contact = Contact.objects.get(messages__public_id=public_id)
        method = ConsentRecord.Method.COMPLAINT
        consent.unsubscribe(contact=contact, method=method, source=f"message {public_id}", now=now)
        _suppress(public_id, Suppression.Reason.COMPLAINED, now)
    return count


def settle_unsubscribed(*, public_id: UUID, now: datetime) -> None:
    """The recipient pressed the provider's own link, or a button that leads to it."""
    settle_taken(public_id=public_id, now=now)
    contact = Contact.objects.filter(messages__public_id=public_id).first()
    if contact is not None:
        method = ConsentRecord.Method.ONE_CLICK
        unsubscribe(contact_uuid=contact.uuid, public_id=public_id, method=method, now=now)


def settle_in_doubt(*, ids: Collection[int], was_sent: bool, by: str, now: datetime) -> int:
    """Staff has found out whether these mails went out; return how many were still in doubt.

    None of them is sent again: what did not go out has failed, with a reason that says who knew.
    """
    doubtful = Message.objects.filter(pk__in=ids, status=Message.Status.IN_DOUBT)
    if was_sent:
        return doubtful.update(
            status=Message.Status.SENT,
            reason="settled_as_sent",
            reason_values={"by": by},
            sent_at=TAKEN_AT,
            closed_at=now,
        )
    return doubtful.update(
        status=Message.Status.FAILED,
        reason="settled_as_not_sent",
        reason_values={"by": by},
        closed_at=now,
    )


def _settle_refused(
    messages: MessageQuerySet, status: Message.Status, reason: str, detail: str, now: datetime
) -> int:
    values = {"answer": detail[:300]}
    return messages.update(status=status, reason=reason, reason_values=values, closed_at=now)


def _suppress(public_id: UUID, reason: Suppression.Reason, now: datetime) -> None:
    """Silence the address that the mail went to, even if the person has another one by now."""
    emails = Message.objects.filter(public_id=public_id).exclude(email="")
    consent.suppress(emails=emails.values_list("email", flat=True), reason=reason, now=now)
