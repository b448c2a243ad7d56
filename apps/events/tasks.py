"""Celery's way into the events app."""

from celery import shared_task
from django.utils import timezone

from apps.events import partitions


@shared_task(name="events.make_partitions", ignore_result=True)
def make_partitions() -> None:
    """Beat, daily; safe to run twice."""
    partitions.ensure_ahead(now=timezone.now())
