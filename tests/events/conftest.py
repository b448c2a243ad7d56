"""Sending events the way every edge does, and letting the pipeline work."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from apps.events import pipeline, services
from apps.events.models import Source
from tests.factories.events import SourceFactory
from tests.instants import NOON


@pytest.fixture
def source(db: None) -> Source:
    made: Source = SourceFactory()
    return made


@pytest.fixture
def send(source: Source) -> Callable[..., int]:
    """Accept messages and drain the inbox; answers how many events were taken."""

    def accept_and_drain(
        *messages: dict[str, Any],
        is_secret: bool = True,
        at: datetime = NOON,
        is_backfill: bool = False,
        sender: Source | None = None,
    ) -> int:
        services.accept(
            source=sender or source,
            is_secret=is_secret,
            messages=messages,
            received_at=at,
            is_backfill=is_backfill,
        )
        return pipeline.drain(now=at)

    return accept_and_drain
