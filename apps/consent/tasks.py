"""Celery's way into the consent app."""

from celery import shared_task
from django.utils import timezone

from apps.consent import erasure, platforms, retention, rights, signups


@shared_task(name="consent.expire_signups", ignore_result=True)
def expire_signups() -> None:
    """Beat, every ten minutes; safe to run twice."""
    signups.expire(now=timezone.now())
    platforms.forget_receipts(now=timezone.now())


@shared_task(name="consent.finish_erasures", ignore_result=True)
def finish_erasures() -> None:
    """Beat, every minute: go on with what was broken off; safe to run twice."""
    erasure.finish_all(now=timezone.now())


@shared_task(name="consent.go_on_with_requests", ignore_result=True)
def go_on_with_requests() -> None:
    """Beat, every minute: write copies, end what nobody confirmed; safe to run twice."""
    rights.go_on(now=timezone.now())


@shared_task(name="consent.apply_retention", ignore_result=True)
def apply_retention() -> None:
    """Beat, daily; safe to run twice."""
    retention.apply(now=timezone.now())
