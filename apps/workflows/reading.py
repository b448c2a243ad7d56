"""From YAML or JSON to the typed tree of a definition, with errors that name the place."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import yaml

from apps.core.clock import BadDuration, parse_duration
from apps.segments import conditions
from apps.segments.conditions import Condition, ConditionError, Did
from apps.workflows.definition import (
    Definition,
    DefinitionError,
    EventFilter,
    Exit,
    If,
    ReEntry,
    Send,
    Step,
    Wait,
    WaitUntil,
)

MAX_SOURCE = 100_000
MAX_STEPS = 200
MAX_DEPTH = 10
MAX_NESTING = 200
MAX_WAIT = timedelta(days=366)
DEFAULT_WINDOW = "1 day"
NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,59}$")
ENTRY_KEY = re.compile(r"^(cart|properties(\.[A-Za-z0-9_-]+)+)$")


def load(source: str) -> dict[str, Any]:
    """Read YAML (or JSON, which is YAML) into plain data, or raise DefinitionError."""
    if len(source) > MAX_SOURCE:
        raise DefinitionError("", f"The definition is longer than {MAX_SOURCE:,} characters.")
    try:
        _check_shape(source)
        # As it is stored: dates become text.
        data = msgspec.json.decode(msgspec.json.encode(yaml.safe_load(source)))
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise DefinitionError(f"line {line}", f"not valid YAML ({problem.problem}).") from problem
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as problem:
        if isinstance(problem, DefinitionError):
            raise
        raise DefinitionError("", "This can't be read as YAML.") from problem
    if not isinstance(data, dict):
        raise DefinitionError("", "Write a mapping that starts with “key:” and “name:”.")
    return data


def parse(data: dict[str, Any]) -> Definition:
    """Check plain data and return the typed tree, or raise DefinitionError."""
    if not isinstance(data, dict):
        raise DefinitionError("", "Write a mapping that starts with “key:” and “name:”.")
    _only(data, "", KEYS)
    exit_source = data.get("exit_when")
    return Definition(
        key=_name(data, "key", ""),
        name=_text(data, "name", "", limit=120),
        description=_text(data, "description", "", default="", limit=2000),
        triggers=_triggers(data),
        entry_key=_entry_key(data),
        re_entry=_re_entry(data.get("re_entry", "always")),
        trigger_window=_duration(data.get("trigger_window", DEFAULT_WINDOW), "trigger_window"),
        exit_when=None if exit_source is None else _condition(exit_source, "exit_when"),
        exit_source=exit_source or {},
        steps=_Steps().read_all(data),
    )


def _check_shape(source: str) -> None:
    """Look at the outline first: reading a deep one would take the parser very long."""
    depth = 0
    for event in yaml.parse(source, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise DefinitionError("", "References (*name) are not possible; write the part out.")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_NESTING:
            raise DefinitionError("", "This can't be read as YAML.")


# --- the head -----------------------------------------------------------------------------------

# In the order in which people write them.
KEYS = (
    "key",
    "name",
    "description",
    "trigger",
    "entry_key",
    "re_entry",
    "trigger_window",
    "exit_when",
    "steps",
)


def _only(data: dict[str, Any], path: str, allowed: tuple[str, ...]) -> None:
    for name in data:
        if name not in allowed:
            place = f"{path}.{name}" if path else str(name)
            raise DefinitionError(place, f"unknown; here may stand {', '.join(allowed)}.")


def _text(
    data: dict[str, Any], name: str, path: str, *, default: str | None = None, limit: int = 200
) -> str:
    place = f"{path}.{name}" if path else name
    if name not in data and default is None:
        raise DefinitionError(place, "is missing.")
    value = data.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise DefinitionError(place, "must be text.")
    if len(value) > limit:
        raise DefinitionError(place, f"must have at most {limit} characters.")
    return value.strip()


def _name(data: dict[str, Any], name: str, path: str) -> str:
    text = _text(data, name, path)
    if not NAME.match(text):
        place = f"{path}.{name}" if path else name
        raise DefinitionError(
            place, f"“{text}” must have only a-z, 0-9, - and _, and at most 60 characters."
        )
    return text


def _flag(data: dict[str, Any], name: str, path: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise DefinitionError(f"{path}.{name}", "must be true or false.")
    return value


def _duration(value: Any, path: str) -> timedelta:
    try:
        duration = parse_duration(value)
    except BadDuration as problem:
        raise DefinitionError(path, str(problem)) from problem
    if duration > MAX_WAIT:
        raise DefinitionError(path, "may be a year at most.")
    return duration


def _condition(data: Any, path: str, *, allow_enrollment: bool = True) -> Condition:
    try:
        return conditions.parse(data, allow_enrollment=allow_enrollment)
    except ConditionError as problem:
        raise DefinitionError(path, str(problem)) from problem


def _event_filter(data: dict[str, Any], path: str) -> EventFilter:
    name = _text(data, "event", path)
    # One event is judged by itself, so it can't be compared with what an enrollment is about.
    asked = {"did": name, "where": data.get("where", [])}
    condition = _condition(asked, path, allow_enrollment=False)
    if not isinstance(condition, Did):
        raise DefinitionError(path, "must name one event.")
    return EventFilter(event=name, did=condition)


def _triggers(data: dict[str, Any]) -> list[EventFilter]:
    if "trigger" not in data:
        raise DefinitionError("trigger", "is missing; write for example {event: Product Added}.")
    several = isinstance(data["trigger"], list)
    entries = data["trigger"] if several else [data["trigger"]]
    if not entries:
        raise DefinitionError("trigger", "must name at least one event.")
    found = []
    for number, entry in enumerate(entries):
        path = f"trigger[{number}]" if several else "trigger"
        if not isinstance(entry, dict):
            raise DefinitionError(path, "must be like {event: Product Added}.")
        _only(entry, path, ("event", "where"))
        found.append(_event_filter(entry, path))
    return found


def _entry_key(data: dict[str, Any]) -> str:
    text = _text(data, "entry_key", "", default="")
    if text and not ENTRY_KEY.match(text):
        raise DefinitionError(
            "entry_key", f"“{text}” is unknown; use cart, or properties. and a property's name."
        )
    return text


def _re_entry(data: Any) -> ReEntry:
    entry = {"again": data} if isinstance(data, str) else data
    if not isinstance(entry, dict):
        raise DefinitionError("re_entry", "must be always, never or once_per_key.")
    _only(entry, "re_entry", ("again", "after"))
    again = entry.get("again", "always")
    if again not in ("always", "never", "once_per_key"):
        raise DefinitionError("re_entry", f"“{again}” is unknown; use always, never, once_per_key.")
    if again == "never" and "after" in entry:
        raise DefinitionError("re_entry.after", "can't stand beside never; use again: always.")
    after = _duration(entry["after"], "re_entry.after") if "after" in entry else timedelta(0)
    return ReEntry(again=again, after=after)


# --- the steps ----------------------------------------------------------------------------------


@dataclass
class _Steps:
    """Reads steps, and gives each one an id that is its own."""

    ids: set[str] = field(default_factory=set)
    explicit: set[str] = field(default_factory=set)
    count: int = 0

    def read_all(self, data: dict[str, Any]) -> list[Step]:
        self.explicit = set(_explicit_ids(data.get("steps"), depth=1))
        steps = self.read(data.get("steps"), "steps", depth=1)
        if not steps:
            raise DefinitionError("steps", "must have at least one step.")
        return steps

    def read(self, data: Any, path: str, *, depth: int) -> list[Step]:
        if not isinstance(data, list):
            raise DefinitionError(path, "must be a list of steps, each starting with “- ”.")
        if depth > MAX_DEPTH:
            raise DefinitionError(path, f"is nested deeper than {MAX_DEPTH} levels.")
        return [self.read_one(step, f"{path}[{i}]", depth) for i, step in enumerate(data)]

    def read_one(self, data: Any, path: str, depth: int) -> Step:
        verbs = [verb for verb in VERBS if isinstance(data, dict) and verb in data]
        if len(verbs) != 1:
            shown = ", ".join(map(str, data)) if isinstance(data, dict) else str(data)
            raise DefinitionError(
                path, f"“{shown[:80]}” is not a step; start it with one of {', '.join(VERBS)}."
            )
        self.count += 1
        if self.count > MAX_STEPS:
            raise DefinitionError(path, f"a workflow may have {MAX_STEPS} steps at most.")
        reader, allowed = VERBS[verbs[0]]
        _only(data, path, ("id", *allowed))
        return reader(self, data, path, depth)

    def name(self, data: dict[str, Any], path: str, derived: str) -> str:
        """The step's own id, or one made from what it does."""
        if "id" in data:
            wanted = _name(data, "id", path)
            if wanted in self.ids:
                raise DefinitionError(f"{path}.id", f"“{wanted}” is used twice; rename one.")
            self.ids.add(wanted)
            return wanted
        base = re.sub(r"[^a-z0-9]+", "-", derived.lower()).strip("-")[:50] or "step"
        name, number = base, 1
        while name in self.ids | self.explicit:
            number += 1
            name = f"{base}-{number}"
        self.ids.add(name)
        return name

    def wait(self, data: dict[str, Any], path: str, depth: int) -> Wait:
        duration = _duration(data["wait"], f"{path}.wait")
        name = self.name(data, path, f"wait-{data['wait']}")
        return Wait(name, duration, _flag(data, "restart_on_trigger", path))

    def send(self, data: dict[str, Any], path: str, depth: int) -> Send:
        template = _name(data, "send", path)
        return Send(self.name(data, path, f"send-{template}"), template)

    def exit(self, data: dict[str, Any], path: str, depth: int) -> Exit:
        reason = _text(data, "exit", path, limit=100)
        return Exit(self.name(data, path, f"exit-{reason}"), reason)

    def decide(self, data: dict[str, Any], path: str, depth: int) -> If:
        condition = _condition(data["if"], f"{path}.if")
        name = self.name(data, path, "if")
        then, otherwise = self.branches(data, path, depth)
        if not then and not otherwise:
            raise DefinitionError(path, "needs steps under then: or else:.")
        return If(name, condition, then, otherwise)

    def wait_until(self, data: dict[str, Any], path: str, depth: int) -> WaitUntil:
        what = data["wait_until"]
        if not isinstance(what, dict) or ("event" in what) == ("condition" in what):
            raise DefinitionError(f"{path}.wait_until", "must have either event: or condition:.")
        allowed = ("event", "where", "same_key") if "event" in what else ("condition",)
        _only(what, f"{path}.wait_until", allowed)
        if "at_most" not in data:
            raise DefinitionError(f"{path}.at_most", "is missing; say how long to wait at most.")
        is_event = "event" in what
        place = f"{path}.wait_until"
        event = _event_filter(what, place) if is_event else None
        condition = None if is_event else _condition(what["condition"], f"{place}.condition")
        at_most = _duration(data["at_most"], f"{path}.at_most")
        label = event.event if event else "condition"
        name = self.name(data, path, f"wait-until-{label}")
        then, otherwise = self.branches(data, path, depth)
        same_key = _flag(what, "same_key", place)
        return WaitUntil(name, event, same_key, condition, at_most, then, otherwise)

    def branches(
        self, data: dict[str, Any], path: str, depth: int
    ) -> tuple[list[Step], list[Step]]:
        then = self.read(data.get("then", []), f"{path}.then", depth=depth + 1)
        otherwise = self.read(data.get("else", []), f"{path}.else", depth=depth + 1)
        return then, otherwise


def _explicit_ids(steps: Any, *, depth: int) -> Iterator[str]:
    """The ids that the author gave, so that a derived one keeps clear of them."""
    if depth > MAX_DEPTH or not isinstance(steps, list):
        return
    for step in steps:
        if isinstance(step, dict):
            if isinstance(step.get("id"), str):
                yield step["id"]
            yield from _explicit_ids(step.get("then"), depth=depth + 1)
            yield from _explicit_ids(step.get("else"), depth=depth + 1)


_Reader = Callable[[_Steps, dict[str, Any], str, int], Step]
VERBS: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    "wait": (_Steps.wait, ("wait", "restart_on_trigger")),
    "wait_until": (_Steps.wait_until, ("wait_until", "at_most", "then", "else")),
    "send": (_Steps.send, ("send",)),
    "if": (_Steps.decide, ("if", "then", "else")),
    "exit": (_Steps.exit, ("exit",)),
}
