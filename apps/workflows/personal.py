"""What workflows hold about the people in them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apps.consent.registry import Fate, Holding, Subject, Table, register_holding
from apps.workflows import services
from apps.workflows.models import Enrollment, EntryRefusal, StepLog

REASON = "erased"


def stop(subject: Subject, now: datetime) -> None:
    services.exit_contacts(contact_ids=[subject.contact_id], reason=REASON, values={}, now=now)


def erase(subject: Subject, now: datetime, limit: int) -> int:
    # Somebody may have been let in while it began.
    stop(subject, now)
    log = StepLog.objects.filter(enrollment__contact_id=subject.contact_id).exclude(values={})
    lines = log.filter(pk__in=list(log.values_list("pk", flat=True)[:limit])).update(values={})
    rows = Enrollment.objects.filter(contact_id=subject.contact_id)
    rows = rows.exclude(context={}, exit_values={}, entry_key="")
    ids = list(rows.values_list("pk", flat=True)[:limit])
    Enrollment.objects.filter(pk__in=ids).update(context={}, exit_values={}, entry_key="")
    refusals = EntryRefusal.objects.filter(contact_id=subject.contact_id)
    refused = list(refusals.values_list("pk", flat=True)[:limit])
    EntryRefusal.objects.filter(pk__in=refused).delete()
    return lines + len(ids) + len(refused)


def read_passages(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    rows = Enrollment.objects.filter(contact_id=subject.contact_id).select_related("workflow")
    for row in rows.order_by("pk").iterator(500):
        yield {
            "workflow": row.workflow.name,
            "about": row.entry_key,
            "status": row.status,
            "entered_at": row.entered_at,
            "finished_at": row.finished_at,
            "exit_reason": row.exit_reason,
            "started_by": row.context,
            "number": row.pk,
        }


def read_decisions(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    rows = StepLog.objects.filter(enrollment__contact_id=subject.contact_id)
    for line in rows.select_related("enrollment__workflow").order_by("pk").iterator(500):
        yield {
            "workflow": line.enrollment.workflow.name,
            "passage": line.enrollment_id,
            "step": line.step_id,
            "action": line.action,
            "outcome": line.outcome,
            "values": line.values,
            "decided_at": line.logged_at,
        }


def read_refusals(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    rows = EntryRefusal.objects.filter(contact_id=subject.contact_id).select_related("workflow")
    for row in rows.order_by("pk").iterator(500):
        yield {
            "workflow": row.workflow.name,
            "reason": row.reason,
            "values": row.values,
            "refused_at": row.refused_at,
        }


def register() -> None:
    register_holding(
        Holding(
            name="workflows",
            label="Automated decisions",
            order=30,
            fates={
                "workflows.Workflow": {Fate.IMPERSONAL: "key name description"},
                "workflows.WorkflowVersion": {Fate.IMPERSONAL: "definition program"},
                "workflows.Enrollment": {
                    Fate.ERASED: "entry_key context exit_values",
                    Fate.IMPERSONAL: "waiting_for exit_reason",
                },
                "workflows.StepLog": {
                    Fate.ERASED: "values",
                    Fate.IMPERSONAL: "step_id action outcome",
                },
                "workflows.EntryRefusal": {Fate.ERASED: "reason values"},
            },
            stop=stop,
            erase=erase,
            tables=(
                Table("workflows", "Automatic conversations you were in", read_passages),
                Table("decisions", "What was decided in them, and on which values", read_decisions),
                Table("not_entered", "Automatic conversations you were left out of", read_refusals),
            ),
        )
    )
