"""What upper floors hang onto the tick, the schedule, the health page and the admin's index.

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


@dataclass(frozen=True)
class Finding:
    """One line of the admin's index: what was found, how it is judged, where to look it up.

    `tone` is neutral, good, warning or danger; `url` is empty where there is no page for it.
    """

    label: str
    value: str = ""
    note: str = ""
    tone: str = "neutral"
    url: str = ""


@dataclass(frozen=True)
class Report:
    """What one app tells on a board of the admin's index, to staff with this permission."""

    name: str
    board: str
    order: int
    permission: str
    read: Callable[[datetime], list[Finding]]


@dataclass(frozen=True)
class FirstStep:
    """What somebody who has just installed the product does next."""

    name: str
    order: int
    title: str
    text: str
    url_name: str
    permission: str
    is_done: Callable[[], bool]


_stages: dict[str, Stage] = {}
_periodic: dict[str, PeriodicTask] = {}
_probes: dict[str, Probe] = {}
_reports: dict[str, Report] = {}
_first_steps: dict[str, FirstStep] = {}


def register_stage(stage: Stage) -> None:
    _stages[stage.name] = stage


def register_periodic_task(task: PeriodicTask) -> None:
    _periodic[task.name] = task


def register_probe(probe: Probe) -> None:
    _probes[probe.name] = probe


def register_report(report: Report) -> None:
    _reports[report.name] = report


def register_first_step(step: FirstStep) -> None:
    _first_steps[step.name] = step


def stages() -> list[Stage]:
    """All stages, in floor order."""
    return sorted(_stages.values(), key=lambda stage: stage.order)


def periodic_tasks() -> list[PeriodicTask]:
    return list(_periodic.values())


def probes() -> list[Probe]:
    return list(_probes.values())


def reports() -> list[Report]:
    """All reports, in the order of the index page."""
    return sorted(_reports.values(), key=lambda report: report.order)


def first_steps() -> list[FirstStep]:
    return sorted(_first_steps.values(), key=lambda step: step.order)
