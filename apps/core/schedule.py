"""Beat's timetable in the database, made from what the apps have registered."""

from datetime import timedelta
from typing import Any

from django_celery_beat.models import IntervalSchedule, PeriodicTask

from apps.core import registry

# A nudge that waited this long is stale: the next one does its work.
EXPIRE_SECONDS = 10


def install(**_: Any) -> None:
    """Add what is missing; what staff has switched off or retimed stays as it is."""
    known = set(PeriodicTask.objects.values_list("name", flat=True))
    for task in registry.periodic_tasks():
        if task.name not in known:
            PeriodicTask.objects.create(
                name=task.name,
                task=task.task,
                interval=_interval(task.every),
                expire_seconds=EXPIRE_SECONDS,
            )


def _interval(every: timedelta) -> IntervalSchedule:
    if every % timedelta(seconds=1):
        microseconds = every // timedelta(microseconds=1)
        return _get(microseconds, IntervalSchedule.MICROSECONDS)
    return _get(every // timedelta(seconds=1), IntervalSchedule.SECONDS)


def _get(every: int, period: str) -> IntervalSchedule:
    schedule = IntervalSchedule.objects.filter(every=every, period=period).first()
    return schedule or IntervalSchedule.objects.create(every=every, period=period)
