"""What upper floors hang onto the tick, the schedule and the health page.

Each app registers in its `AppConfig.ready()`; core itself imports no app.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Stage:
    """One part of a tick: does what is due at `now` and answers how much it did."""

    name: str
    order: int
    run: Callable[[datetime], int]


@dataclass(frozen=True)
class PeriodicTask:
    """A Celery task that beat nudges again and again."""

    name: str
    task: str
    every: timedelta


@dataclass(frozen=True)
class Lag:
    """How far one queue is behind: rows due, and the age of the oldest of them."""

    due_count: int
    oldest_age: timedelta


@dataclass(frozen=True)
class Probe:
    """A queue that the health page watches."""

    name: str
    label: str
    measure: Callable[[datetime], Lag]


_stages: dict[str, Stage] = {}
_periodic: dict[str, PeriodicTask] = {}
_probes: dict[str, Probe] = {}


def register_stage(stage: Stage) -> None:
    _stages[stage.name] = stage


def register_periodic_task(task: PeriodicTask) -> None:
    _periodic[task.name] = task


def register_probe(probe: Probe) -> None:
    _probes[probe.name] = probe


def stages() -> list[Stage]:
    """All stages, in floor order."""
    return sorted(_stages.values(), key=lambda stage: stage.order)


def periodic_tasks() -> list[PeriodicTask]:
    return list(_periodic.values())


def probes() -> list[Probe]:
    return list(_probes.values())
