"""Celery's way into the tick."""

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from apps.core import services

SECONDS_PER_TASK = 2.0


@shared_task(name="core.tick", ignore_result=True)
def tick() -> None:
    """Beat and nudges; safe to run twice, or twice at once."""
    # The connection stays open from task to task; one that broke meanwhile is replaced.
    close_old_connections()
    services.tick_until_quiet(clock=timezone.now, seconds=SECONDS_PER_TASK)
