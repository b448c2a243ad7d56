"""Segments that conditions speak of: found, checked, and never in a circle."""

from collections.abc import Iterator, Mapping

from apps.segments.models import Segment
from apps.segments.operands import ConditionError
from apps.segments.parser import parse
from apps.segments.tree import AllOf, AnyOf, Condition, InSegment, Not

# How many parts a condition may have with those of its segments, each as often as it is named.
MAX_EXPANDED = 500

Library = Mapping[str, Condition]


class UnknownSegment(ConditionError):
    """A condition speaks of a segment that is not there."""


class CircularSegment(ConditionError):
    """A segment would depend on itself."""


def load_segments(condition: Condition, *, drafts: Library | None = None) -> Library:
    """The conditions of all segments that a condition speaks of, also through one another.

    `drafts` stand for what is stored under their keys. Raises UnknownSegment, CircularSegment, or
    ConditionError where it all grows too large.
    """
    library = dict(drafts or {})
    wanted = _keys_of(condition) | {key for draft in library.values() for key in _keys_of(draft)}
    while missing := wanted - library.keys():
        rows = Segment.objects.filter(key__in=missing).values_list("key", "condition")
        found = {key: _read(key, data) for key, data in rows}
        if unknown := sorted(missing - found.keys()):
            raise UnknownSegment("in_segment", f"there is no segment “{unknown[0]}”.")
        library |= found
        wanted = {key for one in found.values() for key in _keys_of(one)}
    _check(condition, library)
    return library


def _read(key: str, data: object) -> Condition:
    try:
        return parse(data)
    except ConditionError as problem:
        raise ConditionError(f"segment {key}", str(problem)) from problem


def _keys_of(condition: Condition) -> set[str]:
    return {part.key for part in walk(condition) if isinstance(part, InSegment)}


def walk(condition: Condition) -> Iterator[Condition]:
    """A condition and all its parts, in reading order."""
    yield condition
    for part in parts_of(condition):
        yield from walk(part)


def parts_of(condition: Condition) -> tuple[Condition, ...]:
    """The conditions right below this one."""
    if isinstance(condition, AllOf | AnyOf):
        return condition.parts
    return (condition.part,) if isinstance(condition, Not) else ()


def _check(condition: Condition, library: Library) -> None:
    """Follow every reference to its end; what is named in two places is followed twice."""
    count = 0
    waiting: list[tuple[Condition, tuple[str, ...]]] = [(condition, ())]
    while waiting:
        part, trail = waiting.pop()
        count += 1
        if count > MAX_EXPANDED:
            raise ConditionError("in_segment", f"more than {MAX_EXPANDED} parts with its segments.")
        waiting += [(below, trail) for below in parts_of(part)]
        if isinstance(part, InSegment):
            if part.key in trail:
                circle = " → ".join([*trail[trail.index(part.key) :], part.key])
                raise CircularSegment("in_segment", f"the segments form a circle: {circle}.")
            waiting.append((library[part.key], (*trail, part.key)))
