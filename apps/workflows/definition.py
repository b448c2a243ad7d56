"""The workflow language: what a definition consists of, once it is read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from apps.events.models import Event
from apps.events.registry import ProcessedEvent
from apps.segments import conditions
from apps.segments.conditions import Condition, Did


class DefinitionError(ValueError):
    """The definition can't be used; the message names the place and the fix."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path


@dataclass(frozen=True, slots=True)
class EventFilter:
    """An event of this name, with these properties."""

    event: str
    did: Did

    def matches(self, event: ProcessedEvent) -> bool:
        """Whether this is the event, judged as the condition language judges it."""
        if event.type != Event.Type.TRACK or event.name != self.event:
            return False
        return conditions.matches_event(self.did, event.properties)


@dataclass(frozen=True, slots=True)
class ReEntry:
    """Whether somebody who has been inside may enter once more.

    With `after`, only so long after they have been through the whole workflow; leaving early
    does not count.
    """

    again: str = "always"
    after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Wait:
    id: str
    duration: timedelta
    restart_on_trigger: bool


@dataclass(frozen=True, slots=True)
class WaitUntil:
    id: str
    event: EventFilter | None
    same_key: bool
    condition: Condition | None
    at_most: timedelta
    then: "list[Step]"
    otherwise: "list[Step]"


@dataclass(frozen=True, slots=True)
class Send:
    id: str
    template: str


@dataclass(frozen=True, slots=True)
class If:
    id: str
    condition: Condition
    then: "list[Step]"
    otherwise: "list[Step]"


@dataclass(frozen=True, slots=True)
class Exit:
    id: str
    reason: str


Step = Wait | WaitUntil | Send | If | Exit


@dataclass(frozen=True, slots=True)
class Definition:
    key: str
    name: str
    description: str
    triggers: list[EventFilter]
    entry_key: str
    re_entry: ReEntry
    trigger_window: timedelta
    exit_when: Condition | None
    exit_source: dict[str, Any]
    steps: list[Step]

    def walk(self) -> Iterator[Step]:
        """Every step, in reading order."""
        return _walk(self.steps)


def _walk(steps: list[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step, If | WaitUntil):
            yield from _walk(step.then)
            yield from _walk(step.otherwise)


def in_words(duration: timedelta) -> str:
    """A duration as people write it."""
    seconds = int(duration.total_seconds())
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0 and seconds >= size:
            return _counted(seconds // size, name)
    return _counted(seconds, "second")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
