"""What the contact's page and the admin's index show of workflows."""

from datetime import datetime
from typing import Any

from django.db.models import Case, Max, Q, Value, When

from apps.contacts.models import Contact
from apps.core.pages import model_url, object_url
from apps.core.registry import Finding
from apps.workflows import wording
from apps.workflows.models import Enrollment, EntryRefusal, Workflow

NEWEST = 5
MAX_LISTED = 12

_TONES = {Workflow.Status.LIVE: "good", Workflow.Status.PAUSED: "warning"}


def read_panel(contact: Contact, now: datetime) -> dict[str, Any]:
    """Where the contact is and was, newest first."""
    rows = Enrollment.objects.filter(contact=contact).select_related("workflow")
    return {
        "contact": contact,
        "passages": [
            (row, wording.state_of(row)) for row in rows.order_by("-entered_at", "-id")[:NEWEST]
        ],
    }


def why_url(contact: Contact) -> str:
    return model_url(Workflow, "why", contact.pk)


def touched_by(contact: Contact) -> list[Workflow]:
    """The workflows that a contact has entered, or was not let into, the latest first."""
    entered = Enrollment.objects.filter(contact=contact).values("workflow_id")
    refused = EntryRefusal.objects.filter(contact=contact).values("workflow_id")
    entered_at = dict(entered.annotate(at=Max("entered_at")).values_list("workflow_id", "at"))
    refused_at = dict(refused.annotate(at=Max("refused_at")).values_list("workflow_id", "at"))
    last = {
        pk: max(at for at in (entered_at.get(pk), refused_at.get(pk)) if at)
        for pk in entered_at.keys() | refused_at.keys()
    }
    found = Workflow.objects.in_bulk(last)
    return [found[pk] for pk in sorted(last, key=lambda pk: last[pk], reverse=True)]


def report(now: datetime) -> list[Finding]:
    """Which workflows there are, and whether they run; those that run come first."""
    rank = Case(When(status="live", then=Value(0)), When(status="paused", then=Value(1)), default=2)
    return [
        Finding(
            label=workflow.name,
            value=workflow.get_status_display(),
            tone=_TONES.get(Workflow.Status(workflow.status), "neutral"),
            url=object_url(workflow),
        )
        for workflow in Workflow.objects.order_by(rank, "name")[:MAX_LISTED]
    ]


def is_installed() -> bool:
    return Workflow.objects.exists()


def has_been_live() -> bool:
    return Workflow.objects.filter(~Q(live_version=None)).exists()
