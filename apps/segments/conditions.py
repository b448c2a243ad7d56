"""The condition language: one typed tree for segments, workflows, audiences and content."""

from typing import Any

from apps.segments.operands import ConditionError
from apps.segments.operators import find, holds
from apps.segments.parser import parse
from apps.segments.sentences import describe
from apps.segments.tree import (
    AllOf,
    AnyOf,
    Attribute,
    Condition,
    Consent,
    Did,
    InSegment,
    Not,
)

__all__ = [
    "AllOf",
    "AnyOf",
    "Attribute",
    "Condition",
    "ConditionError",
    "Consent",
    "Did",
    "InSegment",
    "Not",
    "describe",
    "matches_event",
    "parse",
]


def matches_event(did: Did, properties: dict[str, Any], *, entry_key: str = "") -> bool:
    """Judge one event by the `where` of a condition, exactly as SQL judges those in the log."""
    return all(
        holds(one.test, find(properties, one.path), entry_key=entry_key) for one in did.where
    )
