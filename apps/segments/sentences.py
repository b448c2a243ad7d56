"""Conditions in words."""

from datetime import timedelta
from decimal import Decimal

from apps.segments.operators import write_number
from apps.segments.tree import (
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Condition,
    Consent,
    Did,
    InSegment,
    Moment,
    Not,
    Operand,
    Path,
    Var,
    Window,
)

_PHRASES = {
    "is": "is",
    "is_not": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "contains": "contains",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "at_least": "is at least",
    "at_most": "is at most",
    "greater_than": "is greater than",
    "less_than": "is less than",
    "before": "is before",
    "after": "is after",
}


def describe(condition: Condition) -> str:
    """A condition as people say it, such as “did Order Completed since entering”."""
    match condition:
        case AllOf():
            return " and ".join(_grouped(part) for part in condition.parts)
        case AnyOf():
            return " or ".join(_grouped(part) for part in condition.parts)
        case Not():
            return f"not {_grouped(condition.part)}"
        case Attribute():
            return _demand(condition.path, condition.test)
        case Did():
            return _did(condition)
        case Consent():
            verb = "is" if condition.is_wanted else "is not"
            return f"consent to {condition.purpose} {verb} {condition.status}"
        case InSegment():
            return f"is in segment {condition.key}"


def _grouped(part: Condition) -> str:
    sentence = describe(part)
    return f"({sentence})" if isinstance(part, AllOf | AnyOf) else sentence


def _demand(path: Path, test: Comparison) -> str:
    name = ".".join(path)
    if test.operator == "is_set":
        return f"{name} is known" if test.operand else f"{name} is not known"
    return f"{name} {_PHRASES[test.operator]} {_value(test.operand)}"


def _value(operand: Operand) -> str:
    match operand:
        case Moment():
            return operand.text
        case Var():
            return "what they entered with"
        case tuple():
            return ", ".join(map(_value, operand))
        case bool():
            return "true" if operand else "false"
        case Decimal():
            return write_number(operand)
        case str():
            return f"“{operand}”"


def _did(did: Did) -> str:
    words = ["did not" if did.at_most == 0 else "did", did.event]
    if did.where:
        demands = (_demand(one.path, one.test) for one in did.where)
        words.append(f"where {' and '.join(demands)}")
    return " ".join([*words, *_times(did), *_window(did.window)])


def _times(did: Did) -> list[str]:
    at_least, at_most = did.at_least, did.at_most
    if at_most == 0 or (at_least, at_most) == (1, None):
        return []
    if at_most is None:
        return [f"at least {_counted(at_least, 'time')}"]
    if at_least == at_most:
        return [f"exactly {_counted(at_least, 'time')}"]
    if at_least == 0:
        return [f"at most {_counted(at_most, 'time')}"]
    return [f"{at_least} to {at_most} times"]


def _window(window: Window) -> list[str]:
    words = []
    if window.start is not None and window.end is not None:
        words.append(f"between {window.start.text} and {window.end.text}")
    if window.is_since_enrollment:
        words.append("since entering")
    if window.within is not None:
        words.append(f"in the last {_in_words(window.within)}")
    if window.more_than_ago is not None:
        words.append(f"more than {_in_words(window.more_than_ago)} ago")
    return [" and ".join(words)] if words else []


def _in_words(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    for noun, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            return _counted(seconds // size, noun)
    return _counted(seconds, "second")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
