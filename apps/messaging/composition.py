"""From a published text and a message's values to the mail that is handed over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache, partial
from threading import Lock
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from liquid import BoundTemplate

from apps.messaging import links, rendering
from apps.messaging.mime import TwoPartMail
from apps.messaging.models import Message, TemplateVersion
from apps.messaging.plaintext import plain_text

MAX_COMPILED = 500


@dataclass(frozen=True, slots=True)
class Text:
    """A published version, ready to render."""

    key: str
    subject: BoundTemplate
    html: BoundTemplate
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Composed:
    """One mail, and what is kept of it."""

    mail: TwoPartMail
    subject: str
    html: str
    text: str
    links: list[str]


class BadText:
    """A published version that can't be compiled, with the error to give for each message."""

    def __init__(self, problem: rendering.TemplateError) -> None:
        self.problem = problem


_compiled: dict[int, Text | BadText] = {}
_lock = Lock()


def load_texts(version_ids: Iterable[int]) -> Mapping[int, Text | BadText]:
    """Compile what this process has not compiled yet; published versions never change."""
    wanted = set(version_ids)
    known = _compiled.copy()
    texts = {key: known[key] for key in wanted & known.keys()}
    if missing := wanted - texts.keys():
        found = TemplateVersion.objects.filter(pk__in=missing).select_related("template")
        fresh = {version.pk: _compile(version) for version in found}
        with _lock:
            if len(_compiled) + len(fresh) > MAX_COMPILED:
                _compiled.clear()
            _compiled.update(fresh)
        texts |= fresh
    return texts


def _compile(version: TemplateVersion) -> Text | BadText:
    try:
        return Text(
            key=version.template.key,
            subject=rendering.compile_line(version.subject),
            html=rendering.compile_html(version.html),
            hosts=links.written_hosts(version.html),
        )
    except rendering.TemplateError as problem:
        return BadText(problem)


def compose(
    message: Message,
    *,
    text: Text | BadText,
    values: dict[str, Any],
    now: datetime,
    is_tracked: bool = True,
) -> Composed:
    """Render one message and build its mail; raise TemplateError.

    An untracked one bears no pixel, and its links lead where they lead.
    """
    if isinstance(text, BadText):
        raise text.problem
    subject = rendering.render_line(text.subject, values)
    html = rendering.render(text.html, values)
    plain = plain_text(html, partial(links.destination, campaign=text.key))
    html, tracked = links.track(
        html,
        public_id=message.public_id,
        campaign=text.key,
        hosts=text.hosts,
        is_tracked=is_tracked,
    )
    mail = TwoPartMail(
        public_id=message.public_id,
        subject=subject,
        text=plain,
        html=html,
        sender=settings.DEFAULT_FROM_EMAIL,
        to=message.email,
        headers=headers(message, unsubscribe_url=values["links"]["unsubscribe"], now=now),
        at=now,
    )
    return Composed(mail, subject, html, plain, tracked)


def headers(message: Message, *, unsubscribe_url: str, now: datetime) -> dict[str, str]:
    return {
        "Message-ID": f"<{message.public_id}@{message_domain()}>",
        "Date": _date(now),
        "List-Unsubscribe": f"<{unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def service_headers(public_id: UUID, *, now: datetime) -> dict[str, str]:
    """Of a mail that nobody subscribed to: no way out is needed, and no machine may answer."""
    return {
        "Message-ID": f"<{public_id}@{message_domain()}>",
        "Date": _date(now),
        "Auto-Submitted": "auto-generated",
    }


def message_domain() -> str:
    """The right side of our Message-IDs: the sender's domain, else the installation's."""
    return (
        _domain(settings.DEFAULT_FROM_EMAIL) or urlsplit(settings.BASE_URL).hostname or "localhost"
    )


# A batch of mails has one time and one sender.
_date = lru_cache(maxsize=8)(format_datetime)


@lru_cache(maxsize=8)
def _domain(sender: str) -> str:
    return parseaddr(sender)[1].partition("@")[2]
