"""The language once more, in plain steps over a handful of people, to compare the product with."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apps.core.clock import parse_duration, parse_instant

DAY = timedelta(days=1)


@dataclass
class Deed:
    """One event: when by its own clock, when by ours, and about what."""

    name: str
    occurred_at: datetime
    received_at: datetime
    item: Any = None
    is_backfill: bool = False


@dataclass
class Person:
    """Everything there is about one contact; consents are (time, status), oldest first."""

    country: str
    plan: Any
    deeds: list[Deed] = field(default_factory=list)
    consents: list[tuple[datetime, str]] = field(default_factory=list)
    pk: int = 0


@dataclass
class Question:
    """The moment, the segments there are, and the enrollment that is asked about."""

    as_of: datetime
    segments: dict[str, Any] = field(default_factory=dict)
    since: datetime | None = None
    entry_key: str = ""


def holds(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    kind = next(name for name in _KINDS if name in condition)
    return _KINDS[kind](condition, person, asked)


def _all(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    return all(holds(part, person, asked) for part in condition["all"])


def _any(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    return any(holds(part, person, asked) for part in condition["any"])


def _not(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    return not holds(condition["not"], person, asked)


def _attribute(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    value = getattr(person, condition["attribute"])
    if "is_set" in condition:
        return (value not in (None, "")) is condition["is_set"]
    return value == condition["is"]


def _consent(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    status = next((status for at, status in reversed(person.consents) if at <= asked.as_of), None)
    if "is" in condition:
        return status == condition["is"]
    return status != condition["is_not"]


def _in_segment(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    return holds(asked.segments[condition["in_segment"]], person, asked)


def _did_not(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    return not _did({**condition, "did": condition["did_not"]}, person, asked)


def _did(condition: dict[str, Any], person: Person, asked: Question) -> bool:
    count = sum(_counts(deed, condition, asked) for deed in person.deeds)
    if "exactly" in condition:
        return count == condition["exactly"]
    least = condition.get("at_least", 0 if "at_most" in condition else 1)
    return least <= count <= condition.get("at_most", count)


def _counts(deed: Deed, condition: dict[str, Any], asked: Question) -> bool:
    if deed.name != condition["did"] or deed.occurred_at > asked.as_of:
        return False
    for demand in condition.get("where", []):
        wanted = demand["is"]
        if deed.item is None or deed.item != (asked.entry_key if wanted == KEY else wanted):
            return False
    return _is_in_window(deed, condition, asked)


def _is_in_window(deed: Deed, condition: dict[str, Any], asked: Question) -> bool:
    at = deed.occurred_at
    within, ago = condition.get("within"), condition.get("more_than_ago")
    if within == "since_enrollment":
        heard = deed.occurred_at if deed.is_backfill else max(deed.occurred_at, deed.received_at)
        if asked.since is None or heard < asked.since:
            return False
    elif within and at < asked.as_of - parse_duration(within):
        return False
    if ago and at >= asked.as_of - parse_duration(ago):
        return False
    if "between" in condition:
        first, last = map(parse_instant, condition["between"])
        return first <= at < last + DAY
    return True


KEY = {"var": "entry_key"}
_KINDS = {
    "did_not": _did_not,
    "did": _did,
    "all": _all,
    "any": _any,
    "not": _not,
    "attribute": _attribute,
    "consent": _consent,
    "in_segment": _in_segment,
}
