"""What events did to workflows, or why they did nothing, for the live debugger of events."""

from apps.core.pages import object_url
from apps.events.models import Event
from apps.events.registry import Effect, EffectSource, register_effect_source
from apps.workflows import entry, wording
from apps.workflows.models import EntryRefusal, StepLog, Workflow

_TONES = {"enter": "good", "exit": "warning"}
MAX_SHOWN = 20


def read(event: Event) -> list[Effect]:
    """Who entered, woke, began anew or left because of it; else what stood in the way."""
    if event.type != Event.Type.TRACK or event.contact_id is None:
        return []
    log = (
        StepLog.objects.filter(
            enrollment__contact_id=event.contact_id,
            values__message_id=event.message_id,
            logged_at__gte=event.received_at,
        )
        .select_related("enrollment__workflow")
        .order_by("id")[:MAX_SHOWN]
    )
    rows = list(log)
    effects = [
        Effect(told.title, _TONES.get(row.action, "neutral"), told.url)
        for row, told in zip(rows, wording.tell_decisions(rows), strict=True)
    ]
    refusals = EntryRefusal.objects.filter(contact_id=event.contact_id, event_id=event.pk)
    refused = list(refusals.select_related("workflow").order_by("id")[:MAX_SHOWN])
    effects += [Effect(told.title, "warning", told.url) for told in wording.tell_refusals(refused)]
    return effects or _nothing(event)


def _nothing(event: Event) -> list[Effect]:
    doors = entry.doors().get(event.name, [])
    if not doors:
        return [Effect(f"No workflow that is switched on starts with “{event.name}”")]
    if event.is_backfill:
        return [Effect("Imported history starts no workflow")]
    workflows = Workflow.objects.filter(pk__in={door.plan.workflow_id for door in doors})
    return [
        Effect(
            f"{workflow}: did not start; its filter does not match, or they are inside already",
            url=object_url(workflow),
        )
        for workflow in workflows.order_by("name")[:MAX_SHOWN]
    ]


def register() -> None:
    register_effect_source(
        EffectSource("workflows", "Workflows", 90, "workflows.view_workflow", read)
    )
