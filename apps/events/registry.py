"""What the floors above hang onto events: projections that read them, and what came of one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.events.models import Event


@dataclass(slots=True)
class ProcessedEvent:
    """One event as stored, with the keys that projections add for the floors above."""

    id: int
    contact_id: int | None
    anonymous_id: str
    type: str
    name: str
    properties: dict[str, Any]
    context: dict[str, Any]
    source_id: int
    message_id: str
    is_trusted: bool
    is_backfill: bool
    received_at: datetime
    occurred_at: datetime
    keys: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """What one transaction of the pipeline brings.

    `repeats` tell what another event tells too, which took effect; they may only correct it. Those
    in `again`, by their ids, come from the side that had told it before: its person is back at it.
    """

    now: datetime
    events: list[ProcessedEvent] = field(default_factory=list)
    repeats: list[ProcessedEvent] = field(default_factory=list)
    again: set[int] = field(default_factory=set)
    adopted: list[ProcessedEvent] = field(default_factory=list)
    adoptions: dict[str, int] = field(default_factory=dict)

    def all_events(self) -> list[ProcessedEvent]:
        """Adopted history and new events, in the order in which they came."""
        return sorted([*self.adopted, *self.events], key=lambda event: event.id)

    def all_versions(self) -> list[ProcessedEvent]:
        """New events and repeats, in the order in which they came."""
        if not self.repeats:
            return self.events
        return sorted([*self.events, *self.repeats], key=lambda event: event.id)


@dataclass(frozen=True)
class Projection:
    """A table kept up to date by events; runs inside the pipeline's transaction."""

    name: str
    order: int
    apply: Callable[[Batch], None]


@dataclass(frozen=True)
class Effect:
    """One thing that an event did, or the reason why it did nothing."""

    text: str
    tone: str = "neutral"
    url: str = ""


@dataclass(frozen=True)
class EffectSource:
    """What one floor did because of an event, for staff with this permission to see."""

    name: str
    label: str
    order: int
    permission: str
    read: "Callable[[Event], list[Effect]]"


_projections: dict[str, Projection] = {}
_effect_sources: dict[str, EffectSource] = {}


def register_projection(projection: Projection) -> None:
    _projections[projection.name] = projection


def projections() -> list[Projection]:
    """All projections, in floor order."""
    return sorted(_projections.values(), key=lambda projection: projection.order)


def register_effect_source(source: EffectSource) -> None:
    _effect_sources[source.name] = source


def effect_sources() -> list[EffectSource]:
    """All of them, in the order of the debugger."""
    return sorted(_effect_sources.values(), key=lambda source: source.order)
