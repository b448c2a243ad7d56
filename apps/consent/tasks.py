"""Celery's way into the consent app."""

from celery import shared_task
from django.utils import timezone

from apps.consent import signups


@shared_task(name="consent.expire_signups", ignore_result=True)
def expire_signups() -> None:
    """Beat, every ten minutes; safe to run twice."""
    signups.expire(now=timezone.now())
