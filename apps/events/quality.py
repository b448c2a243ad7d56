"""What a batch says about tracking itself: counted, checked against the plan, and learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.consent.models import Purpose
from apps.events import counting, definitions
from apps.events.definitions import Broken, Plan, Seen
from apps.events.duplicates import Version
from apps.events.models import Event, RejectedEvent
from apps.events.registry import ProcessedEvent
from apps.events.validation import Fault


@dataclass(frozen=True, slots=True)
class _Told:
    event: ProcessedEvent
    answer: bool | None
    faults: list[Fault]
    version: Version | None


class Observer:
    """Watches one batch; writes what it saw in a few statements at the end."""

    def __init__(self) -> None:
        self._told: list[_Told] = []
        self._tally = counting.Tally()
        self._refused: list[tuple[RejectedEvent, str, list[Fault]]] = []

    def see_repeat(self, *, source_id: int, received_at: datetime) -> None:
        """The same message came once more."""
        self._tally.add(received_at=received_at, source_id=source_id, type=counting.REPEAT)

    def see(
        self,
        event: ProcessedEvent,
        *,
        said: Mapping[str, bool],
        faults: list[Fault],
        version: Version | None,
    ) -> None:
        self._told.append(_Told(event, said.get(Purpose.TRACKING), faults, version))

    def see_refused(self, rejected: RejectedEvent, name: str, faults: list[Fault]) -> None:
        self._refused.append((rejected, name, faults))

    def close(self, *, now: datetime) -> None:
        """Learn, count violations, and add to the day's numbers."""
        definitions.learn(
            (
                Seen(one.event.name, one.event.source_id, one.event.properties)
                for one in self._told
                if one.event.type == Event.Type.TRACK and one.event.properties is not None
            ),
            now=now,
        )
        plan = definitions.plan()
        definitions.count_violations(self._broken(plan))
        for one in self._told:
            self._count(one, plan)
        for rejected, name, faults in self._refused:
            self._tally.add(
                received_at=rejected.received_at,
                source_id=rejected.source_id,
                type=counting.REJECTED,
                name=name if name in plan else "",
                violation=bool(faults),
            )
        self._tally.write()

    def _broken(self, plan: Plan) -> list[Broken]:
        found = [
            Broken(known.pk, one.event.received_at.date(), one.faults, {"event": one.event.id})
            for one in self._told
            if one.faults and (known := plan.get(one.event.name))
        ]
        return found + [
            Broken(known.pk, rejected.received_at.date(), faults, {"rejected": rejected.pk})
            for rejected, name, faults in self._refused
            if (known := plan.get(name))
        ]

    def _count(self, one: _Told, plan: Plan) -> None:
        event = one.event
        is_named = event.type in (Event.Type.TRACK, Event.Type.DUPLICATE) and event.name in plan
        name = event.name if is_named else ""
        is_late = not event.is_backfill and event.received_at - event.occurred_at > counting.LATE
        self._tally.add(
            received_at=event.received_at,
            source_id=event.source_id,
            type=event.type,
            name=name,
            identified=event.contact_id is not None,
            server=event.is_trusted,
            late=is_late,
            campaign=bool(event.context.get("campaign")),
            allowed=one.answer is True,
            refused=one.answer is False,
            violation=bool(one.faults),
        )
        if one.version is not None:
            side = "server" if event.is_trusted else "browser"
            self._tally.join(
                received_at=event.received_at,
                source_id=event.source_id,
                name=name,
                counts=_keys(one.version, side),
            )


def _keys(version: Version, side: str) -> dict[str, Any]:
    return {f"{side}_key": int(version.is_first), f"{side}_joined": int(version.is_joined)}
