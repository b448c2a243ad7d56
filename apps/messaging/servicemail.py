"""Mails that ask somebody to confirm something: queued by the floors below, sent one by one.

They are few, and a stranger may get one, so they have a queue and a way of their own: no contact,
no consent, no tracking, no link to unsubscribe. What the provider's answer leaves open is in doubt
and is never sent again; whoever waits for the mail can ask for another.
"""

import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Min
from django.utils.timezone import is_aware

from apps.consent import services as consent
from apps.consent.models import Suppression
from apps.core.registry import Lag
from apps.messaging import composition, context, ledger, rendering, services
from apps.messaging.composition import BadText, Text
from apps.messaging.delivery import MAX_FAILURES, back_off
from apps.messaging.mime import TwoPartMail
from apps.messaging.models import ServiceMail, Template, TemplateVersion
from apps.messaging.plaintext import plain_text
from apps.messaging.rendering import TemplateError
from apps.messaging.transport import Answer, Outcome, transport

logger = logging.getLogger(__name__)

LIMIT = 20
LATEST = timedelta(hours=24)
# What the templates show where nothing was asked for, in a preview.
SAMPLE: dict[str, Any] = {
    "links": {
        "confirm": "https://shop.example/confirm",
        "download": "https://shop.example/download",
    },
    "signup": {"form": "Newsletter", "topics": ["News"], "days": 7},
    "request": {"kind": "a copy of your data", "days": 7},
}

Status = ServiceMail.Status


class UnknownServiceText(Exception):
    """There is no published service mail of this name."""


def queue(
    *, send_key: str, template_key: str, email: str, values: dict[str, Any], now: datetime
) -> bool:
    """Write the row of one mail; False where this occasion had its mail. Raises UnknownServiceText.

    Call inside the transaction that decides on it.
    """
    template = Template.objects.filter(key=template_key, is_service=True).first()
    if template is None:
        raise UnknownServiceText(f"There is no service mail “{template_key}”.")
    _, is_new = ServiceMail.objects.get_or_create(
        send_key=send_key,
        defaults={
            "template": template,
            "email": email,
            "values": values,
            "due_at": now,
            "queued_at": now,
        },
    )
    return is_new


def deliver(*, now: datetime, limit: int = LIMIT) -> int:
    """Send what is due, one after the other; answer how many were taken up."""
    for count in range(limit):
        if transport.is_resting(now) or not _deliver_next(now):
            return count
    return limit


def reap(*, now: datetime) -> int:
    """A worker died between the hand-over and the answer: nobody knows."""
    lost = ServiceMail.objects.filter(status=Status.SENDING, lease_until__lte=now)
    return lost.update(
        status=Status.IN_DOUBT, reason="worker_lost", email="", values={}, closed_at=now
    )


def cancel(*, email: str, now: datetime) -> int:
    """Send nothing more of this kind to an address, whose owner is being forgotten."""
    waiting = ServiceMail.objects.filter(status=Status.QUEUED, email=email)
    return waiting.update(
        status=Status.SKIPPED, reason="erased", email="", values={}, closed_at=now
    )


def measure(now: datetime) -> Lag:
    due = ServiceMail.objects.filter(status=Status.QUEUED, due_at__lte=now)
    oldest = due.aggregate(at=Min("due_at"))["at"]
    return Lag(due.count(), now - oldest if oldest else timedelta(0))


def _deliver_next(now: datetime) -> bool:
    """Take one from the queue and settle it; False where none is due."""
    with transaction.atomic():
        due = ServiceMail.objects.filter(status=Status.QUEUED, due_at__lte=now)
        locked = due.select_for_update(skip_locked=True, of=("self",)).select_related("template")
        row = locked.order_by("due_at", "id").first()
        if row is None:
            return False
        mail = _compose(row, now)
        if mail is not None:
            row.status, row.lease_until = Status.SENDING, now + ledger.LEASE
        row.save()
    if mail is not None:
        _record(row, transport.hand_over(mail, now=now), now)
    return True


def _compose(row: ServiceMail, now: datetime) -> TwoPartMail | None:
    """The mail, or None once the row says why there is none."""
    if reason := _obstacle(row, now):
        _settle(row, Status.SKIPPED, now, reason=reason)
        return None
    try:
        text = _newest_text(row.template)
        values = {"first_name": "", **row.values, "sender": context.sender()}
        html = rendering.render(text.html, values)
        return TwoPartMail(
            public_id=row.public_id,
            subject=rendering.render_line(text.subject, values),
            text=plain_text(html, str),
            html=html,
            sender=settings.DEFAULT_FROM_EMAIL,
            to=row.email,
            headers=composition.service_headers(row.public_id, now=now),
            at=now,
        )
    except TemplateError as problem:
        _settle(row, Status.FAILED, now, reason=problem.reason)
        return None


def _obstacle(row: ServiceMail, now: datetime) -> str:
    """Why it must not go. Who unsubscribed or was erased may ask; who complained gets nothing."""
    if now - row.queued_at > LATEST:
        return "too_late"
    found = consent.find_suppression(row.email)
    is_silent = found is not None and found.reason not in Suppression.REVOCABLE
    return "suppressed" if is_silent else ""


def _newest_text(template: Template) -> Text:
    versions = template.versions.exclude(published_at=None).order_by("-number")
    pk = versions.values_list("pk", flat=True).first()
    if pk is None:
        raise TemplateError("no_published_template", template=template.key)
    text = composition.load_texts([pk])[pk]
    if isinstance(text, BadText):
        raise text.problem
    return text


def _record(row: ServiceMail, answer: Answer, now: datetime) -> None:
    if answer.outcome is Outcome.ACCEPTED:
        row.provider_id = answer.provider_id
        _settle(row, Status.SENT, now)
    elif answer.outcome is Outcome.UNKNOWN:
        logger.warning("Service mail %s is in doubt (%s).", row.public_id, answer.detail)
        _settle(row, Status.IN_DOUBT, now, reason="outcome_unknown")
    elif answer.outcome is Outcome.REJECTED:
        _settle(row, Status.FAILED, now, reason="rejected")
    else:
        _try_later(row, answer, now)
    row.save()


def _try_later(row: ServiceMail, answer: Answer, now: datetime) -> None:
    row.failure_count += 1
    if answer.outcome is Outcome.TRY_LATER and row.failure_count >= MAX_FAILURES:
        _settle(row, Status.FAILED, now, reason="refused_too_often")
        return
    row.status, row.lease_until = Status.QUEUED, None
    row.reason = "refused" if answer.outcome is Outcome.TRY_LATER else answer.outcome.value
    row.due_at = now + back_off(row.failure_count)


def _settle(row: ServiceMail, status: Status, now: datetime, *, reason: str = "") -> None:
    row.status, row.reason, row.closed_at, row.lease_until = status, reason, now, None
    row.email, row.values = "", {}


# --- the texts that come with the product ---------------------------------------------------------

TEXTS = Path(settings.BASE_DIR) / "templates" / "emails"


def install_text(*, key: str, name: str, now: datetime) -> None:
    """Publish a text that comes with the product, once; what staff made of it stays."""
    assert is_aware(now)  # noqa: S101 -- a naive one would be taken for local time
    template, _ = Template.objects.get_or_create(
        key=key, defaults={"name": name, "is_service": True}
    )
    if TemplateVersion.objects.filter(template=template).exists():
        return
    file = key.replace("-", "_")
    services.publish(
        template=template,
        subject=(TEXTS / f"{file}.subject.txt").read_text(encoding="utf-8").strip(),
        html=(TEXTS / f"{file}.html").read_text(encoding="utf-8"),
        now=now,
    )
