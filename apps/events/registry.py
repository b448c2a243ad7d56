"""What the pipeline hands to the floors above: batches, and the projections that read them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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

    `repeats` tell what another event tells too, which took effect; they may only correct it.
    """

    now: datetime
    events: list[ProcessedEvent] = field(default_factory=list)
    repeats: list[ProcessedEvent] = field(default_factory=list)
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


_projections: dict[str, Projection] = {}


def register_projection(projection: Projection) -> None:
    _projections[projection.name] = projection


def projections() -> list[Projection]:
    """All projections, in floor order."""
    return sorted(_projections.values(), key=lambda projection: projection.order)
