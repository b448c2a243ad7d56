"""Send: the outbox with gate, tracking and unsubscribe, against smtplib with the same mails."""

import smtplib
import time
from datetime import UTC, datetime

from django.core.mail import EmailMultiAlternatives
from django.test import override_settings

from apps.contacts.models import Contact
from apps.messaging import delivery
from apps.messaging import services as messaging
from apps.messaging.models import Message, MessageContent
from benchmarks import servers
from benchmarks.results import Result

MAILS = 4000


def queue(template_key: str, now: datetime, *, priority: int = 0) -> None:
    """One message for each of the contacts, several times over."""
    contacts = list(Contact.objects.reachable().values_list("pk", flat=True))
    requests = [
        messaging.MessageRequest(
            send_key=f"bench:{priority}:{number}",
            contact_id=contacts[number % len(contacts)],
            template_key=template_key,
            context={},
            origin_type="benchmark",
            origin_id=0,
            step_id="send",
            priority=priority,
        )
        for number in range(MAILS)
    ]
    messaging.queue_messages(requests=requests, now=now)


def _deliver_all() -> float:
    """Mails per second until nothing is queued."""
    began = time.monotonic()
    while delivery.deliver(now=datetime.now(UTC), limit=50):
        pass
    rate = MAILS / (time.monotonic() - began)
    sent = Message.objects.filter(origin_type="benchmark", status=Message.Status.SENT).count()
    if sent != MAILS:
        raise RuntimeError(f"Only {sent} of {MAILS} mails were sent.")
    return rate


def _bare_rate(port: int) -> float:
    """The same contents, built by Django's message classes and handed over by smtplib."""
    content = MessageContent.objects.first()
    if content is None:
        raise RuntimeError("No mail was kept to compare with.")
    began = time.monotonic()
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        for number in range(MAILS):
            address = f"customer-{number}@example.com"
            mail = EmailMultiAlternatives(
                content.subject,
                content.text,
                "Shop <hello@shop.example>",
                [address],
                headers={
                    "Message-ID": f"<{number}@shop.example>",
                    "List-Unsubscribe": "<https://shop.example/e/u/token>",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
            )
            mail.attach_alternative(content.html, "text/html")
            smtp.sendmail("hello@shop.example", [address], mail.message().as_bytes(linesep="\r\n"))
    return MAILS / (time.monotonic() - began)


def run(template_key: str) -> list[Result]:
    now = datetime.now(UTC)
    with servers.smtp_sink() as port:
        backend = "apps.messaging.backends.SmtpBackend"
        with override_settings(EMAIL_BACKEND=backend, EMAIL_HOST="127.0.0.1", EMAIL_PORT=port):
            queue(template_key, now)
            rate = _deliver_all()
        bare = _bare_rate(port)
    return [
        Result(
            path="send, with gate, tracking, unsubscribe",
            ours=f"{rate:,.0f} mails/s",
            bare=f"{bare:,.0f} mails/s",
            ratio=f"{rate / bare:.0%}",
            budget="≥ 50%, > 700/s",
            is_met=rate >= bare / 2 and rate > 700,
        )
    ]
