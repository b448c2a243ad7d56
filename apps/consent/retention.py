"""Letting go of what is older than it has to be (GDPR Art. 5 (1) e)."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.consent.models import Retention
from apps.consent.registry import NotYet, Store, stores

logger = logging.getLogger(__name__)

BATCH = 5_000


@dataclass(frozen=True)
class Due:
    """What one rule would take away now."""

    store: Store
    keep_days: int | None
    count: int


class NotAllowed(Exception):
    """Data of this kind can't be kept for so long, or so short; the text says why."""


def install(**_: Any) -> None:
    """Add the rules that are missing, after the migrations; what staff has changed stays."""
    Retention.objects.bulk_create(
        [Retention(key=store.key, keep_days=store.keep_days) for store in stores().values()],
        ignore_conflicts=True,
    )


def check(*, key: str, keep_days: int | None) -> None:
    """Raise NotAllowed where a rule can't be set to so many days; one without data may be any."""
    store = stores().get(key)
    if store is None:
        return
    if keep_days is None and store.has_to_end:
        raise NotAllowed("These can’t be kept for ever.")
    if keep_days is not None and keep_days < store.least_days:
        raise NotAllowed(f"{store.least_days} days at least: sooner they would be missed.")


def lifetime_of(key: str) -> timedelta:
    """For how long something is kept that has to end."""
    days = Retention.objects.filter(key=key).values_list("keep_days", flat=True).first()
    return timedelta(days=days or stores()[key].keep_days or 1)


def preview(*, now: datetime) -> list[Due]:
    """What apply() would take away, without taking it."""
    return [
        Due(store, days, store.count(_before(days, now)) if days else 0) for store, days in _rules()
    ]


def count_due(*, rule: Retention, now: datetime) -> int:
    """How much one rule would take away now."""
    store = stores().get(rule.key)
    if store is None or rule.keep_days is None:
        return 0
    return store.count(_before(rule.keep_days, now))


def apply(*, now: datetime, batch: int = BATCH) -> dict[str, int]:
    """Take away what is too old, batch by batch; answer how much of each kind."""
    return {
        store.key: _drop(store, _before(days, now), now, batch) for store, days in _rules() if days
    }


def _rules() -> Iterator[tuple[Store, int | None]]:
    kept = dict(Retention.objects.values_list("key", "keep_days"))
    for store in stores().values():
        yield store, kept.get(store.key)


def _before(days: int, now: datetime) -> datetime:
    return now - timedelta(days=days)


def _drop(store: Store, before: datetime, now: datetime, batch: int) -> int:
    total = 0
    try:
        while count := _drop_batch(store, before, now, batch):
            total += count
    except NotYet:
        logger.warning("What is too old of %s is in use; it goes the next time.", store.key)
    return total


@transaction.atomic
def _drop_batch(store: Store, before: datetime, now: datetime, batch: int) -> int:
    return store.drop(before, now, batch)
