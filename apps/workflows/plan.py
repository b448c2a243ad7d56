"""A published version made ready to run: its tree, its program and what its conditions ask."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.events.registry import ProcessedEvent
from apps.segments.conditions import Condition
from apps.workflows import reading
from apps.workflows.compiler import Instruction, Program
from apps.workflows.definition import Definition, EventFilter, If, WaitUntil
from apps.workflows.models import WorkflowVersion

KEY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """One version, parsed; the same object serves every enrollment on it."""

    version_id: int
    workflow_id: int
    created_at: datetime
    definition: Definition
    program: Program
    exit_events: frozenset[str]
    conditions: dict[str, Condition]
    filters: dict[str, EventFilter]

    @classmethod
    def of(cls, version: WorkflowVersion) -> "Plan":
        tree = reading.parse(version.definition)
        forks = [step for step in tree.walk() if isinstance(step, If | WaitUntil)]
        waits = [step for step in forks if isinstance(step, WaitUntil)]
        return cls(
            version_id=version.pk,
            workflow_id=version.workflow_id,
            created_at=version.created_at,
            definition=tree,
            program=version.program,
            exit_events=frozenset(_event_names(tree.exit_source)),
            conditions={step.id: step.condition for step in forks if step.condition is not None},
            filters={step.id: step.event for step in waits if step.event is not None},
        )

    def at(self, pc: int) -> Instruction:
        return self.program[pc]

    def is_triggered_by(self, event: ProcessedEvent) -> bool:
        return any(trigger.matches(event) for trigger in self.definition.triggers)

    def entry_key(self, event: ProcessedEvent) -> str | None:
        """What this event is about, or None where it does not say."""
        path = self.definition.entry_key
        if not path:
            return ""
        if path == "cart":
            return event.keys.get("cart") or _scalar(event.properties.get("cart_id"))
        value: Any = event.properties
        for name in path.split(".")[1:]:
            value = value.get(name) if isinstance(value, dict) else None
        return _scalar(value)


def _scalar(value: Any) -> str | None:
    if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        return str(value)[:KEY_LENGTH]
    return None


def _event_names(data: Any) -> Iterator[str]:
    """The events that a condition asks about, wherever they stand in it."""
    if isinstance(data, list):
        for part in data:
            yield from _event_names(part)
    elif isinstance(data, dict):
        for name, part in data.items():
            if name in ("did", "did_not") and isinstance(part, str):
                yield part
            else:
                yield from _event_names(part)


# Versions never change once they are in use, so a process parses each one once. The time of
# creation guards against a number that another database has given to another version.
_cache: dict[int, Plan] = {}


def load(version_ids: Collection[int]) -> dict[int, Plan]:
    """The plans of these versions; one query at most."""
    wanted = set(version_ids)
    rows = WorkflowVersion.objects.filter(pk__in=wanted)
    for version_id, created_at in rows.values_list("pk", "created_at") if wanted else ():
        if version_id in _cache and _cache[version_id].created_at != created_at:
            del _cache[version_id]
    missing = wanted - _cache.keys()
    if missing:
        _cache.update({row.pk: Plan.of(row) for row in rows.filter(pk__in=missing)})
    return {version_id: _cache[version_id] for version_id in wanted}
