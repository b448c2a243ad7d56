"""The Celery application: workers and beat only wake the product up, they hold no truth."""

import os
import signal
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from celery import Celery
from celery.exceptions import WorkerShutdown
from celery.signals import beat_init, setup_logging, worker_process_init, worker_shutting_down
from kombu import Connection

from config.lifeline import hold_to_leader

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

# For pgmq: PostgreSQL wakes the worker as soon as a nudge is in, and nobody polls.
LISTENING = {
    "use_notify": True,
    "notify_throttle_interval_ms": 0,
    "wait_time_seconds": 0,
    "polling_interval": 1.0,
}


def pgmq_address(database_url: str) -> str:
    """The same database as pgmq wants to be told.

    It writes what it reads into libpq's `key=value` form as it is: a password with a space would
    end there, and everything after the question mark, such as sslmode, is lost.
    """
    parts = urlsplit(database_url)
    host = parts.netloc.rpartition("@")[2]
    user, password = (_libpq(unquote(text or "")) for text in (parts.username, parts.password))
    name = _libpq(unquote(parts.path.lstrip("/")))
    more = "".join(f" {key}={_libpq(value)}" for key, value in parse_qsl(parts.query))
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    return urlunsplit(("postgresql", netloc, f"/{quote(name + more, safe='')}", "", ""))


def _libpq(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Application(Celery):
    """Listens where it consumes; a process that only publishes would never hear it out."""

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Connection:
        connection = super().connection_for_read(url, **kwargs)
        if connection.transport_cls == "pgmq":
            connection.transport_options = {**(connection.transport_options or {}), **LISTENING}
        return connection


app = Application("cuepost")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Django's settings say how to log; without a receiver Celery would add handlers of its own."""


@worker_process_init.connect
def hold_child(**_: Any) -> None:
    hold_to_leader()


@worker_shutting_down.connect
def leave_at_once(how: str, **_: Any) -> None:
    """Celery would wait for news twice more, two seconds each; what runs is still waited for."""
    if how == "Warm":
        raise WorkerShutdown(0)


@beat_init.connect
def end_between_turns(sender: Any, **_: Any) -> None:
    """Celery's own handler uses the database, and waits for ever if it interrupts a query."""
    signal.signal(signal.SIGTERM, lambda number, frame: sender.stop())
