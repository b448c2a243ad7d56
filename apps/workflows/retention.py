"""What workflows let go of with time."""

from datetime import datetime

from django.db.models import QuerySet

from apps.consent.registry import Store, register_store
from apps.workflows.models import Enrollment, EntryRefusal, StepLog


def _enrollments(before: datetime) -> QuerySet[Enrollment]:
    return Enrollment.objects.filter(finished_at__lt=before).exclude(context={}, exit_values={})


def _decisions(before: datetime) -> QuerySet[StepLog]:
    return StepLog.objects.filter(enrollment__finished_at__lt=before).exclude(values={})


def _refusals(before: datetime) -> QuerySet[EntryRefusal]:
    return EntryRefusal.objects.filter(refused_at__lt=before)


def _count(before: datetime) -> int:
    return sum(rows.count() for rows in (_enrollments(before), _decisions(before))) + (
        _refusals(before).count()
    )


def _drop(before: datetime, now: datetime, limit: int) -> int:
    """Of who is inside still nothing goes: what they wait for is judged on it."""
    entered = list(_enrollments(before).values_list("pk", flat=True)[:limit])
    Enrollment.objects.filter(pk__in=entered).update(context={}, exit_values={})
    decided = list(_decisions(before).values_list("pk", flat=True)[:limit])
    StepLog.objects.filter(pk__in=decided).update(values={})
    refused = list(_refusals(before).values_list("pk", flat=True)[:limit])
    EntryRefusal.objects.filter(pk__in=refused).delete()
    return len(entered) + len(decided) + len(refused)


def register() -> None:
    register_store(
        Store(
            "workflow_values",
            "What workflows decided on",
            "Of each passage that has ended the event behind it and the values it was judged on, "
            "and who was not let in. That somebody was inside, and each step, stays.",
            730,
            _count,
            _drop,
        )
    )
