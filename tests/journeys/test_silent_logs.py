"""Whatever happens to somebody, no log line tells who it was."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import IntegrityError

from apps.contacts.models import Contact
from apps.core.pages import model_url
from apps.events import registry
from apps.events.registry import Batch, Projection
from config.logs import LineFormatter
from tests.instants import NOON
from tests.journeys.shop import Shop, live_until_quiet

EMAIL, NAME, PHONE = "ada@example.com", "Ada", "+4915112345678"
TRACES = [EMAIL, "ada%40example", NAME, PHONE, "sk_", "browser-1"]


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """All that any logger writes, down to DEBUG, as our handler writes it."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LineFormatter())
    loggers = [logging.getLogger(name) for name in ("", "django", "django.request", "celery")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    loggers[0].addHandler(handler)
    yield written
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def poison(batch: Batch) -> None:
    """A projection that fails the way a constraint does, quoting the row."""
    if any(event.name == "Poison" for event in batch.events):
        raise IntegrityError(f'duplicate key\nDETAIL:  Key (email)=({EMAIL}, "{NAME}") exists.')


@pytest.fixture
def poisoned(monkeypatch: Any) -> None:
    projections = {**registry._projections, "poison": Projection("poison", 99, poison)}
    monkeypatch.setattr(registry, "_projections", projections)


def refuse(*_: Any, **__: Any) -> None:
    raise OSError(f"550 5.1.1 <{EMAIL}>: no {NAME} here")


@pytest.mark.django_db
def test_a_journey_with_accidents_leaves_no_trace(client, lines, poisoned, monkeypatch):
    shop = Shop("cart-recovery", NOON)
    shop.identify(NOON, anonymousId="browser-1")
    shop.track(NOON, "Product Added")
    shop.browse(NOON, "Poison", "browser-12")
    live_until_quiet(NOON)
    live_until_quiet(NOON + timedelta(hours=1))
    monkeypatch.setattr(EmailBackend, "send_messages", refuse)
    live_until_quiet(NOON + timedelta(hours=30))
    for path in (
        f"/nobody/{EMAIL}", f"/v1/projects/{shop.source.secret_key}/settings", "/e/c/forged:token",
        f"/track?event=x&user_id={EMAIL}", model_url(Contact, q=EMAIL), f"/preferences/{EMAIL}",
    ):  # fmt: skip
        client.get(path)
    client.post("/v1/identify", {"traits": {"email": EMAIL}}, content_type="application/json")
    client.post("/v1/batch", f"{{{EMAIL}", content_type="application/json")

    text = lines.getvalue()
    assert len(mail.outbox) == 1
    assert "failed in the pipeline" in text
    assert "Not Found" in text
    assert [trace for trace in TRACES if trace in text] == []
