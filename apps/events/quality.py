"""What a batch says about tracking itself: counted, checked against the plan, and learned from."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from apps.consent.models import Purpose
from apps.events import counting, definitions
from apps.events.definitions import Broken, Plan, Seen
from apps.events.duplicates import Version
from apps.events.models import Event, RejectedEvent
from apps.events.registry import ProcessedEvent
from apps.events.validation import Fault

_TRACK = Event.Type.TRACK.value
_NAMED = frozenset({_TRACK, Event.Type.DUPLICATE.value})
# What is counted of an event beside itself, as counting calls it.
_FLAGS = (
    "identified", "server", "late", "campaign", "allowed", "refused", "violation"
)  # fmt: skip


class Observer:
    """Watches one batch; writes what it saw in a few statements at the end."""

    def __init__(self) -> None:
        self._told: list[tuple[ProcessedEvent, bool | None, list[Fault]]] = []
        self._versions: list[tuple[ProcessedEvent, Version]] = []
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
        self._told.append((event, said.get(Purpose.TRACKING), faults))
        if version is not None:
            self._versions.append((event, version))

    def see_refused(self, rejected: RejectedEvent, name: str, faults: list[Fault]) -> None:
        self._refused.append((rejected, name, faults))

    def close(self, *, now: datetime) -> None:
        """Learn, count violations, and add to the day's numbers."""
        definitions.learn(
            [
                Seen(event.name, event.source_id, event.properties)
                for event, _, _ in self._told
                if event.type == _TRACK
            ],
            now=now,
        )
        plan = definitions.plan()
        definitions.count_violations(self._broken(plan))
        self._count(plan)
        for rejected, name, faults in self._refused:
            self._tally.add(
                received_at=rejected.received_at,
                source_id=rejected.source_id,
                type=counting.REJECTED,
                name=name if name in plan else "",
                counts={"violation": 1 if faults else 0},
            )
        self._tally.write()

    def _broken(self, plan: Plan) -> list[Broken]:
        found = [
            Broken(known.pk, event.received_at.date(), faults, {"event": event.id})
            for event, _, faults in self._told
            if faults and (known := plan.get(event.name))
        ]
        return found + [
            Broken(known.pk, rejected.received_at.date(), faults, {"rejected": rejected.pk})
            for rejected, name, faults in self._refused
            if (known := plan.get(name))
        ]

    def _count(self, plan: Plan) -> None:
        """Most events of a batch are alike: each kind of them is added at once."""
        alike = Counter(
            (
                event.received_at,
                event.source_id,
                event.type,
                event.name if event.type in _NAMED and event.name in plan else "",
                event.contact_id is not None,
                event.is_trusted,
                event.received_at - event.occurred_at > counting.LATE and not event.is_backfill,
                bool(event.context.get("campaign")),
                answer is True,
                answer is False,
                bool(faults),
            )
            for event, answer, faults in self._told
        )
        for (received_at, source_id, kind, name, *flags), count in alike.items():
            self._tally.add(
                received_at=received_at,
                source_id=source_id,
                type=kind,
                name=name,
                count=count,
                counts={flag: count for flag, is_set in zip(_FLAGS, flags, strict=True) if is_set},
            )
        for event, version in self._versions:
            side = "server" if event.is_trusted else "browser"
            self._tally.add(
                received_at=event.received_at,
                source_id=event.source_id,
                type=_TRACK,
                name=event.name,
                count=0,
                counts={
                    f"{side}_key": int(version.is_first),
                    f"{side}_joined": int(version.is_joined),
                },
            )
