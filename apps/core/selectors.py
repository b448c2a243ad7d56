"""How the product is doing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import current_app
from django.db.models import QuerySet

from apps.core import registry
from apps.core.registry import Finding, FirstStep, Lag

BROKER_TIMEOUT = 2

# The boards of the admin's index, in their order, and what each says when it is empty.
BOARDS = {
    "attention": ("What needs you", "Nothing. Cuepost works by itself at the moment."),
    "day": ("The last 24 hours", "No mail was asked for."),
    "workflows": ("Workflows", "There is no workflow yet."),
}

May = Callable[[str], bool]


@dataclass(frozen=True)
class Board:
    """A group of findings on the index page."""

    key: str
    title: str
    if_empty: str
    findings: list[Finding]


@dataclass(frozen=True)
class Step:
    """A first step, and whether it is done."""

    step: FirstStep
    is_done: bool


def measure_lags(*, now: datetime) -> dict[str, Lag]:
    """How far each queue that matters is behind, by its name."""
    return {probe.name: probe.measure(now) for probe in registry.probes()}


def ask_broker() -> str:
    """ "ok", or the kind of failure; never raises."""
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_TIMEOUT) as broker:
            broker.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT)
    except Exception as problem:
        return type(problem).__name__
    return "ok"


def read_boards(*, now: datetime, may: May) -> list[Board]:
    """What the apps have to tell to somebody with these permissions."""
    found: dict[str, list[Finding]] = {}
    for report in registry.reports():
        if may(report.permission):
            found.setdefault(report.board, []).extend(report.read(now))
    return [Board(key, *words, found[key]) for key, words in BOARDS.items() if key in found]


def find_first_steps(*, may: May) -> list[Step]:
    """What a new installation still needs, in order; empty once all of it is done."""
    steps = [Step(step, step.is_done()) for step in registry.first_steps() if may(step.permission)]
    return [] if all(one.is_done for one in steps) else steps


def count_up_to(queryset: QuerySet[Any], limit: int) -> int:
    """How many rows there are; `limit` + 1 where there are more, which costs no further reading."""
    return queryset.order_by()[: limit + 1].count()
