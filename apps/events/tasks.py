"""Celery's way into the events app."""

from celery import shared_task
from django.utils import timezone

from apps.events import partitions, services


@shared_task(name="events.make_partitions", ignore_result=True)
def make_partitions() -> None:
    """Beat, daily; safe to run twice."""
    partitions.ensure_ahead(now=timezone.now())


@shared_task(name="events.drop_numbers", ignore_result=True)
def drop_numbers() -> None:
    """Beat, daily; safe to run twice."""
    services.drop_numbers(now=timezone.now())
