"""Celery's way into the contacts app."""

from celery import shared_task
from django.utils import timezone

from apps.contacts import importing, uploads

SECONDS_PER_TASK = 2.0


@shared_task(name="contacts.work_on_imports", ignore_result=True)
def work_on_imports() -> None:
    """Beat and nudges; safe to run twice, or twice at once. Asks for its next turn itself."""
    if importing.work(clock=timezone.now, seconds=SECONDS_PER_TASK):
        work_on_imports.delay()


@shared_task(name="contacts.forget_files", ignore_result=True)
def forget_files() -> None:
    """Beat, hourly; safe to run twice."""
    uploads.forget_old(now=timezone.now())
