"""Celery's way into the consent app."""

from celery import shared_task
from django.utils import timezone

from apps.consent import erasure, platforms, signups


@shared_task(name="consent.expire_signups", ignore_result=True)
def expire_signups() -> None:
    """Beat, every ten minutes; safe to run twice."""
    signups.expire(now=timezone.now())
    platforms.forget_receipts(now=timezone.now())


@shared_task(name="consent.finish_erasures", ignore_result=True)
def finish_erasures() -> None:
    """Beat, every minute: go on with what was broken off; safe to run twice."""
    erasure.finish_all(now=timezone.now())
