"""Send: the outbox with gate, tracking and unsubscribe, against smtplib with the same mails."""

import smtplib
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count

from django.core.mail import EmailMultiAlternatives
from django.test import override_settings

from apps.contacts.models import Contact
from apps.messaging import delivery
from apps.messaging import services as messaging
from apps.messaging.models import Message, MessageContent
from benchmarks import servers
from benchmarks.ground import MAIL, PRODUCT, Ground, address
from benchmarks.results import Result

ROUNDS = 3
MAILS = 1500
SENDER = "hello@shop.example"
_rounds = count()


def run(laid: Ground) -> list[Result]:
    with to_the_sink() as port:
        rounds = [compare(port) for _ in range(ROUNDS)]
    ours, built, made = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    ratio = statistics.median(mine / bare for mine, bare, _ in rounds)
    return [
        Result(
            path="send, with gate, tracking, unsubscribe",
            ours=f"{ours:,.0f} mails/s",
            bare=f"{built:,.0f} mails/s",
            ratio=f"{ratio:.0%}",
            budget="≥ 50%, > 700/s",
            is_met=ratio >= 0.5 and ours > 700,
        ),
        Result(
            path="– the same, bare mails ready-made",
            ours=f"{ours:,.0f} mails/s",
            bare=f"{made:,.0f} mails/s",
            ratio=f"{statistics.median(mine / bare for mine, _, bare in rounds):.0%}",
            budget="–",
            is_met=None,
        ),
    ]


@contextmanager
def to_the_sink() -> Iterator[int]:
    """A sink's port, with this process's mails going there."""
    backend = "apps.messaging.backends.SmtpBackend"
    with (
        servers.smtp_sink() as port,
        override_settings(EMAIL_BACKEND=backend, EMAIL_HOST="127.0.0.1", EMAIL_PORT=port),
    ):
        yield port


def queue(
    amount: int, *, now: datetime, priority: int = 0, leave_out: Collection[str] = ()
) -> None:
    """Mails about a product that somebody looked at, for each of the contacts in turn."""
    people = Contact.objects.reachable().exclude(email__in=leave_out)
    contacts = list(people.values_list("pk", flat=True))
    mark = next(_rounds)
    context = {"event": {"name": "Product Viewed", "properties": PRODUCT}}
    requests = [
        messaging.MessageRequest(
            send_key=f"bench:{mark}:{number}",
            contact_id=contacts[number % len(contacts)],
            template_key=MAIL,
            context=context,
            origin_type="benchmark",
            origin_id=mark,
            step_id="send",
            priority=priority,
        )
        for number in range(amount)
    ]
    messaging.queue_messages(requests=requests, now=now)


def compare(port: int) -> tuple[float, float, float]:
    """Mails per second: ours, built by Django's classes, and ready-made."""
    ours = _measure()
    content = MessageContent.objects.filter(message__origin_type="benchmark")[0]
    ready = [_build(content, number) for number in range(MAILS)]
    built = _hand_over(port, lambda: (_build(content, number) for number in range(MAILS)))
    return ours, built, _hand_over(port, lambda: ready)


def _measure() -> float:
    """Mails per second from the queue to the server."""
    queue(MAILS, now=datetime.now(UTC))
    began = time.monotonic()
    while delivery.deliver(now=datetime.now(UTC)):
        pass
    rate = MAILS / (time.monotonic() - began)
    ours = Message.objects.filter(origin_type="benchmark")
    if left := ours.exclude(status=Message.Status.SENT).count():
        raise RuntimeError(f"{left} mails were not sent.")
    return rate


def _hand_over(port: int, mails: Callable[[], Iterable[bytes]]) -> float:
    """Mails per second of smtplib, one after the other on one connection."""
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.ehlo()
        began = time.monotonic()
        for number, mail in enumerate(mails()):
            smtp.sendmail(SENDER, [address(number)], mail)
        return MAILS / (time.monotonic() - began)


def _build(content: MessageContent, number: int) -> bytes:
    """The same content by Django's classes."""
    mail = EmailMultiAlternatives(
        content.subject,
        content.text,
        f"Shop <{SENDER}>",
        [address(number)],
        headers={
            "Message-ID": f"<{number}@shop.example>",
            "List-Unsubscribe": "<https://shop.example/e/u/token>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
    mail.attach_alternative(content.html, "text/html")
    return mail.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]
