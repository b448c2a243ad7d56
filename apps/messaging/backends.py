"""E-mail backends of our own: mails as files, and SMTP that says whether a mail was taken."""

import os
import re
import smtplib
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address

from apps.messaging.mime import CRLF, TwoPartMail

# Nearly every recipient: nothing to take off, nothing to encode.
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")

# “I am closing down” and “log in first”: said to us, whatever the mail is.
AT_ODDS = (421, 530)


class ConnectionFailed(Exception):
    """Nothing was handed over: there is no connection, or it broke before the body began."""

    def __init__(self, detail: str, *, is_fresh: bool = True) -> None:
        super().__init__(detail)
        self.is_fresh = is_fresh


class Refused(Exception):
    """The server answered and did not take the mail."""

    def __init__(self, detail: str, *, is_permanent: bool) -> None:
        super().__init__(detail)
        self.is_permanent = is_permanent


class UnknownOutcome(Exception):
    """The body was under way when the answer got lost; the mail may have been taken."""


class OutboxBackend(BaseEmailBackend):
    """Writes each mail to a file of its own in OUTBOX_DIR; the names sort by time."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.OUTBOX_DIR)
        for mail in email_messages:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _write(folder, mail)
            except OSError as problem:
                detail = f"The outbox folder: {type(problem).__name__}"
                raise ConnectionFailed(detail) from problem
        return len(email_messages)


def _write(folder: Path, mail: EmailMessage) -> None:
    name = f"{_stamp(mail)}-{_identity(mail)}.eml"
    unfinished = folder / f".{name}.{os.getpid()}"
    unfinished.write_bytes(_bytes(mail))
    unfinished.rename(folder / name)


def _stamp(mail: EmailMessage) -> str:
    """The mail's own time where it bears one, so that simulated time sorts as well."""
    moment = mail.at if isinstance(mail, TwoPartMail) else datetime.now(UTC)
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")


def _identity(mail: EmailMessage) -> str:
    return mail.metadata["message_id"] if isinstance(mail, TwoPartMail) else str(uuid4())


def _bytes(mail: EmailMessage) -> bytes:
    if isinstance(mail, TwoPartMail):
        return mail.as_wire()
    return mail.message().as_bytes(linesep=CRLF)  # type: ignore[call-arg]


class SmtpBackend(EmailBackend):
    """Django's SMTP backend with a transaction that tells a refusal from an unknown outcome.

    Raises ConnectionFailed, Refused or UnknownOutcome. Sends the envelope in one go where the
    server offers PIPELINING (RFC 2920).
    """

    connection: smtplib.SMTP | None

    def open(self) -> bool | None:
        try:
            return super().open()
        except (OSError, smtplib.SMTPException) as problem:
            raise ConnectionFailed(_describe(problem)) from problem

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for mail in email_messages:
            is_fresh = bool(self.open())
            try:
                self._transact(mail, is_fresh)
            except (ConnectionFailed, UnknownOutcome):
                self.drop()
                raise
        return len(email_messages)

    def drop(self) -> None:
        """Forget a connection whose state is unclear, without a word to the server."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def close(self) -> None:
        """Say goodbye; a server that has gone already is no error."""
        try:
            super().close()
        except (OSError, smtplib.SMTPException):
            self.drop()

    def _transact(self, mail: EmailMessage, is_fresh: bool) -> None:
        assert self.connection is not None  # noqa: S101 -- open() has succeeded
        smtp = self.connection
        sender, recipients, body = _as_sent(mail)
        try:
            _send_envelope(smtp, sender, recipients)
        except (OSError, smtplib.SMTPServerDisconnected) as problem:
            raise ConnectionFailed(_describe(problem), is_fresh=is_fresh) from problem
        except Refused:
            self._start_over()
            raise
        try:
            smtp.send(body)
            code, answer = smtp.getreply()
        except (OSError, smtplib.SMTPException) as problem:
            raise UnknownOutcome(_describe(problem)) from problem
        if 400 <= code < 600:
            raise _refusal(code, answer)
        if not 200 <= code < 300:
            raise UnknownOutcome(f"An answer that SMTP does not know: {code}")

    def _start_over(self) -> None:
        """After a refusal the transaction is void; a server that can't reset is left."""
        try:
            if self.connection is not None and self.connection.rset()[0] != 250:
                self.drop()
        except (OSError, smtplib.SMTPException):
            self.drop()


def _as_sent(mail: EmailMessage) -> tuple[str, list[str], bytes]:
    """Sender, recipients and body as they go over the wire; raise Refused if there is none."""
    encoding = mail.encoding or settings.DEFAULT_CHARSET
    try:
        sender, *recipients = (
            _envelope_address(address, encoding)
            for address in (mail.from_email, *mail.recipients())
        )
        return sender, recipients, _dot_stuffed(_bytes(mail))
    except ValueError as problem:
        raise Refused(f"Unsendable: {type(problem).__name__}", is_permanent=True) from problem


@lru_cache(maxsize=1024)
def _envelope_address(address: str, encoding: str) -> str:
    """The address without a name, its domain in ASCII."""
    if _PLAIN_ADDRESS.fullmatch(address):
        return address
    return parseaddr(sanitize_address(address, encoding))[1]


def _send_envelope(smtp: smtplib.SMTP, sender: str, recipients: list[str]) -> None:
    """Name sender and recipients until the server waits for the body; raise Refused."""
    smtp.ehlo_or_helo_if_needed()
    commands = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{to}>" for to in recipients), "DATA"]
    if smtp.has_extn("pipelining"):
        smtp.send("".join(f"{command}{CRLF}" for command in commands))
        answers = [smtp.getreply() for _ in commands]
        if answers[-1][0] == 354 and not all(_is_good(answer) for answer in answers):
            # Something was refused, yet it waits for a body.
            smtp.send(f".{CRLF}")
            smtp.getreply()
    else:
        answers = []
        for command in commands:
            answers.append(smtp.docmd(command))
            if not _is_good(answers[-1]):
                break
    for code, answer in answers:
        if code in AT_ODDS:
            raise smtplib.SMTPResponseException(code, answer)
        if not _is_good((code, answer)):
            raise _refusal(code, answer)


def _is_good(answer: tuple[int, bytes]) -> bool:
    return 200 <= answer[0] < 400


def _refusal(code: int, answer: bytes) -> Refused:
    text = answer.decode(errors="replace").replace("\n", " ")[:300]
    return Refused(f"{code} {text}", is_permanent=code >= 500)


def _dot_stuffed(body: bytes) -> bytes:
    """End the body as SMTP wants it, with dots at the start of lines doubled (RFC 5321, 4.5.2)."""
    body = body.replace(b"\r\n.", b"\r\n..")
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    return body + b".\r\n"


def _describe(problem: Exception) -> str:
    """What went wrong, without the peer's text, which may quote addresses."""
    code: Any = getattr(problem, "smtp_code", None) or getattr(problem, "errno", None)
    return f"{type(problem).__name__} {code}" if code else type(problem).__name__
