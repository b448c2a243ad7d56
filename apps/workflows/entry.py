"""Who may enter: the workflows that an event starts, and the reasons to refuse."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, Q

from apps.consent.models import Restriction
from apps.events.registry import ProcessedEvent
from apps.workflows import plan as plans
from apps.workflows.definition import in_words
from apps.workflows.models import EXIT_STEP, Enrollment, EntryRefusal, Workflow
from apps.workflows.plan import Plan
from apps.workflows.store import Entry

MAX_TEXT = 1000
MAX_ITEMS = 50
MAX_NESTING = 5


@dataclass(frozen=True, slots=True)
class Door:
    """A workflow that events may start; a closed one only says why not."""

    plan: Plan
    is_open: bool


def doors() -> dict[str, list[Door]]:
    """The workflows that are live or paused, by the events that start them."""
    rows = Workflow.objects.exclude(status=Workflow.Status.DRAFT).exclude(live_version=None)
    states = dict(rows.values_list("live_version_id", "status"))
    found: dict[str, list[Door]] = {}
    for version_id, plan in sorted(plans.load(states.keys()).items()):
        door = Door(plan, is_open=states[version_id] == Workflow.Status.LIVE)
        for name in {trigger.event for trigger in plan.definition.triggers}:
            found.setdefault(name, []).append(door)
    return found


@dataclass(slots=True)
class Applicant:
    """Somebody who would enter: the events that speak for it, oldest first."""

    plan: Plan
    contact_id: int
    entry_key: str
    events: list[ProcessedEvent]

    @property
    def entry(self) -> Entry:
        return self.plan.workflow_id, self.contact_id, self.entry_key

    def enrollment(self, now: datetime) -> Enrollment:
        """The row to insert. Where the first step is a wait that restarts, later events count."""
        first, last = self.events[0], self.events[-1]
        is_restarted = self.plan.at(0).get("restart", False)
        clock = last if is_restarted else first
        return Enrollment(
            workflow_id=self.plan.workflow_id,
            version_id=self.plan.version_id,
            contact_id=self.contact_id,
            entry_key=self.entry_key,
            context=context_of(last),
            wake_at=min(clock.occurred_at, now),
            started_at=min(first.occurred_at, now),
            restart_count=len(self.events) - 1 if is_restarted else 0,
        )


class Refusals:
    """Why events started nothing; one for each reason, workflow and contact of a batch."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.rows: dict[tuple[int, int, str], EntryRefusal] = {}

    def add(self, plan: Plan, event: ProcessedEvent, reason: str, values: dict[str, Any]) -> None:
        contact_id = event.contact_id or 0
        self.rows[plan.workflow_id, contact_id, reason] = EntryRefusal(
            workflow_id=plan.workflow_id,
            contact_id=contact_id,
            event_id=event.id,
            reason=reason,
            values={"event": event.name, "occurred_at": event.occurred_at.isoformat(), **values},
            refused_at=self.now,
        )


def applicants(
    doors: dict[str, list[Door]], events: Iterable[ProcessedEvent], refusals: Refusals
) -> list[Applicant]:
    """Those whom these events would let in, by the event alone."""
    found: dict[Entry, Applicant] = {}
    for event in events:
        for door in doors.get(event.name, ()):
            if not door.plan.is_triggered_by(event):
                continue
            entry_key = _entry_key(door, event, refusals)
            if entry_key is None or event.contact_id is None:
                continue
            new = Applicant(door.plan, event.contact_id, entry_key, [])
            found.setdefault(new.entry, new).events.append(event)
    for applicant in found.values():
        applicant.events.sort(key=lambda event: event.occurred_at)
    return list(found.values())


def _entry_key(door: Door, event: ProcessedEvent, refusals: Refusals) -> str | None:
    window = door.plan.definition.trigger_window
    entry_key = door.plan.entry_key(event)
    if not door.is_open:
        refusals.add(door.plan, event, "paused", {})
    elif event.occurred_at < refusals.now - window:
        refusals.add(door.plan, event, "too_old", {"trigger_window": in_words(window)})
    elif entry_key is None:
        refusals.add(door.plan, event, "no_entry_key", {"wanted": door.plan.definition.entry_key})
    else:
        return entry_key
    return None


# --- re-entry -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Past:
    """What a contact has been through with one entry key; `through_at` is the last arrival."""

    entry_key: str
    through_at: datetime | None


def _unrestricted(candidates: Sequence[Applicant], refusals: Refusals) -> list[Applicant]:
    """Whose data may be kept and not used starts nothing."""
    people = {one.contact_id for one in candidates}
    restricted = set(
        Restriction.objects.filter(contact__in=people).values_list("contact", flat=True)
    )
    for one in candidates:
        if one.contact_id in restricted:
            refusals.add(one.plan, one.events[-1], "restricted", {})
    return [one for one in candidates if one.contact_id not in restricted]


def admitted(candidates: Sequence[Applicant], refusals: Refusals) -> list[Applicant]:
    """Those whom the re-entry rules of their workflow let in; one query for all of them."""
    candidates = _unrestricted(candidates, refusals)
    bound = [one for one in candidates if _has_rule(one.plan)]
    if not bound:
        return candidates
    past = _past(bound)
    let_in = []
    for one in candidates:
        rows = past.get((one.plan.workflow_id, one.contact_id), [])
        values = _objection(one, rows, refusals.now) if _has_rule(one.plan) else None
        if values is None:
            let_in.append(one)
        else:
            refusals.add(one.plan, one.events[-1], "re_entry", values)
    return let_in


def _has_rule(plan: Plan) -> bool:
    rule = plan.definition.re_entry
    return rule.again != "always" or bool(rule.after)


def _past(candidates: Sequence[Applicant]) -> dict[tuple[int, int], list[_Past]]:
    # Whoever left early, because of an order for example, has not had it all: that does not count
    # for `after`.
    is_through = Q(status=Enrollment.Status.COMPLETED) | Q(exit_reason=EXIT_STEP)
    rows = (
        Enrollment.objects.filter(
            workflow_id__in={one.plan.workflow_id for one in candidates},
            contact_id__in={one.contact_id for one in candidates},
        )
        .values_list("workflow_id", "contact_id", "entry_key")
        .annotate(through_at=Max("finished_at", filter=is_through))
        .order_by()
    )
    past: dict[tuple[int, int], list[_Past]] = {}
    for workflow_id, contact_id, entry_key, through_at in rows:
        past.setdefault((workflow_id, contact_id), []).append(_Past(entry_key, through_at))
    return past


def _objection(one: Applicant, past: list[_Past], now: datetime) -> dict[str, Any] | None:
    """What speaks against letting them in again, or None."""
    rule = one.plan.definition.re_entry
    if rule.again == "once_per_key":
        past = [row for row in past if row.entry_key == one.entry_key]
    if rule.after:
        through_at = max((row.through_at for row in past if row.through_at), default=None)
        if through_at is None or through_at <= now - rule.after:
            return None
        return {"rule": f"after {in_words(rule.after)}", "completed_at": through_at.isoformat()}
    return {"rule": rule.again, "entry_key": one.entry_key} if past else None


# --- what is remembered of the event ------------------------------------------------------------


def context_of(event: ProcessedEvent) -> dict[str, Any]:
    """What templates may show of the event that started or restarted an enrollment."""
    context: dict[str, Any] = {
        "event": {
            "name": event.name,
            "properties": _trim(event.properties, MAX_NESTING),
            "occurred_at": event.occurred_at.isoformat(),
        }
    }
    if cart_key := event.keys.get("cart"):
        context["cart_key"] = cart_key
    return context


def _trim(value: Any, depth: int) -> Any:
    """Keep what a mail may show; an event can be 32 KB, a mail shows a few lines of it."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list):
        return [_trim(item, depth - 1) for item in value[:MAX_ITEMS]] if depth else []
    if isinstance(value, dict):
        items = list(value.items())[:MAX_ITEMS]
        return {name: _trim(item, depth - 1) for name, item in items} if depth else {}
    return value
