"""The one connection of a worker thread to the mail server, and what became of each mail."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailConfigurationError,
    AnymailError,
    AnymailRequestsAPIError,
)
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from apps.messaging.backends import ConnectionFailed, Refused, UnknownOutcome

IDLE_SECONDS = 30
REST = timedelta(seconds=5)
DEFAULT_RETRY_AFTER = 60
MAX_RETRY_AFTER = 3600
# As OpenSSL names them.
HANDSHAKE_FAILURES = {
    "CERTIFICATE_VERIFY_FAILED",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
}


class Outcome(Enum):
    """What is known after a hand-over."""

    ACCEPTED = "accepted"
    TRY_LATER = "try_later"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one hand-over, with what the other side said."""

    outcome: Outcome
    detail: str = ""
    provider_id: str = ""
    retry_after: int = 0


class Transport(threading.local):
    """Opens lazily, is reused mail after mail, and rests a moment after a failure to connect."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None
        self._key: tuple[Any, ...] = ()
        self._used_at = 0.0
        self._seconds_per_mail = 0.0
        self._rest: tuple[datetime, datetime] | None = None

    def is_resting(self, now: datetime) -> bool:
        """Whether the server could not be reached, or asked for patience, just now."""
        return self._rest is not None and self._rest[0] <= now < self._rest[1]

    def batch_size(self, largest: int, *, seconds: float) -> int:
        """How many mails this server takes in that time, by what it has shown so far."""
        if self._connection is None or self._is_idle():
            # To connect may take any time; only one mail waits for that.
            return 1
        if self._seconds_per_mail * largest <= seconds:
            return largest
        return max(1, int(seconds / self._seconds_per_mail))

    def hand_over(self, mail: EmailMessage, *, now: datetime) -> Answer:
        """Give one mail to the server; never raises."""
        began = time.monotonic()
        answer = self._try(mail)
        self._used_at = time.monotonic()
        self._seconds_per_mail += (self._used_at - began - self._seconds_per_mail) / 8
        if answer.outcome is Outcome.UNREACHABLE:
            self._rest = (now, now + REST)
        elif answer.outcome is Outcome.THROTTLED:
            self._rest = (now, now + timedelta(seconds=answer.retry_after))
        return answer

    def reset(self) -> None:
        """Forget the connection and all that was learned about the server."""
        self.close()
        self._rest = None
        self._seconds_per_mail = 0.0

    def _try(self, mail: EmailMessage) -> Answer:
        try:
            self._send(mail)
        except ConnectionFailed as problem:
            self.close()
            return Answer(Outcome.UNREACHABLE, str(problem))
        except Refused as problem:
            return judge(problem)
        except Exception as problem:
            self.close()
            return judge(problem)
        return Answer(Outcome.ACCEPTED, provider_id=_provider_id(mail))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _send(self, mail: EmailMessage) -> None:
        try:
            self._connected().send_messages([mail])
        except ConnectionFailed as problem:
            if problem.is_fresh:
                raise
            # The server hung up between two mails, which it may; a new connection tells more.
            self.close()
            self._connected().send_messages([mail])

    def _connected(self) -> BaseEmailBackend:
        key = _configuration()
        if self._connection is not None and (key != self._key or self._is_idle()):
            self.close()
        if self._connection is None:
            self._connection, self._key = _opened(), key
        return self._connection

    def _is_idle(self) -> bool:
        return time.monotonic() - self._used_at > IDLE_SECONDS


def _opened() -> BaseEmailBackend:
    """A backend that is ready; whatever keeps it from that, nothing was handed over."""
    try:
        connection = get_connection()
        connection.open()
    except ConnectionFailed:
        raise
    except Exception as problem:
        raise ConnectionFailed(type(problem).__name__) from problem
    return connection


def _configuration() -> tuple[Any, ...]:
    return (
        settings.EMAIL_BACKEND,
        settings.EMAIL_HOST,
        settings.EMAIL_PORT,
        settings.EMAIL_HOST_USER,
        str(settings.OUTBOX_DIR),
    )


def _provider_id(mail: EmailMessage) -> str:
    status = getattr(mail, "anymail_status", None)
    message_id = getattr(status, "message_id", None)
    return message_id[:255] if isinstance(message_id, str) else ""


def judge(problem: Exception) -> Answer:
    """Decide whether the mail was surely not taken; what can't be known is UNKNOWN."""
    if isinstance(problem, Refused):
        outcome = Outcome.REJECTED if problem.is_permanent else Outcome.TRY_LATER
        return Answer(outcome, str(problem))
    name = type(problem).__name__
    if isinstance(problem, UnknownOutcome):
        return Answer(Outcome.UNKNOWN, str(problem))
    if isinstance(problem, AnymailRequestsAPIError):
        return _judge_http(problem)
    if isinstance(problem, AnymailConfigurationError):
        return Answer(Outcome.UNREACHABLE, name)
    if isinstance(problem, AnymailError) and not isinstance(problem, AnymailAPIError):
        # Refused recipients, or a mail that the provider's format can't express.
        return Answer(Outcome.REJECTED, name)
    return Answer(Outcome.UNKNOWN, name)


def _judge_http(problem: AnymailRequestsAPIError) -> Answer:
    status = problem.status_code
    if status is None:
        return _judge_request(problem)
    detail = f"HTTP {status}"
    if status == 429:
        return Answer(Outcome.THROTTLED, detail, retry_after=_retry_after(problem.response))
    if status in (401, 403):
        # Our key is wrong, which is not the mail's fault.
        return Answer(Outcome.UNREACHABLE, detail)
    if 400 <= status < 500 and status != 408:
        return Answer(Outcome.TRY_LATER, detail)
    return Answer(Outcome.UNKNOWN, detail)


def _judge_request(problem: AnymailRequestsAPIError) -> Answer:
    """Without an answer: only a connection that never stood is a definite no."""
    cause = problem.__cause__
    if isinstance(cause, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return Answer(Outcome.UNREACHABLE, type(cause).__name__)
    reason = getattr(cause.args[0], "reason", None) if cause and cause.args else None
    if type(reason).__name__ in {"NewConnectionError", "NameResolutionError"}:
        return Answer(Outcome.UNREACHABLE, type(reason).__name__)
    if isinstance(cause, requests.exceptions.SSLError) and _is_handshake(reason):
        return Answer(Outcome.UNREACHABLE, type(cause).__name__)
    return Answer(Outcome.UNKNOWN, type(cause).__name__)


def _is_handshake(problem: Exception | None) -> bool:
    """Whether TLS was never agreed upon; later it may fail as well, with the mail under way."""
    inner = problem.args[0] if problem and problem.args else None
    return getattr(inner, "reason", None) in HANDSHAKE_FAILURES


def _retry_after(response: requests.Response | None) -> int:
    header = response.headers.get("Retry-After", "") if response is not None else ""
    seconds = int(header) if header.isdecimal() else DEFAULT_RETRY_AFTER
    return min(max(seconds, 1), MAX_RETRY_AFTER)


transport = Transport()
