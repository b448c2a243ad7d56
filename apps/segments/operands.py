"""The values of a condition: read from plain data, or refused with the place and the fix."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from apps.core.clock import BadDuration, parse_duration
from apps.segments.operators import read_instant
from apps.segments.tree import Comparison, Moment, Operand, Path, Scalar

MAX_TEXT = 500
MAX_NAME = 200
MAX_PATH = 10
MAX_LIST = 1000
MAX_NUMBER = Decimal(10) ** 30
MAX_DURATION = timedelta(days=36_525)

# What a contact has beside its free attributes, and how other systems call the same.
TEXT_COLUMNS = (
    "email",
    "external_id",
    "first_name",
    "last_name",
    "phone",
    "locale",
    "time_zone",
    "country",
)
TIME_COLUMNS = ("created_at",)
_OTHER_NAMES = {
    "firstName": "first_name",
    "lastName": "last_name",
    "name": "first_name and last_name",
    "timezone": "time_zone",
    "timeZone": "time_zone",
    "userId": "external_id",
    "user_id": "external_id",
    "createdAt": "created_at",
}
# These are stored in one form only, so the condition may be written in any.
_STORED_FORM: dict[str, Callable[[str], str]] = {"email": str.lower, "country": str.upper}


class ConditionError(ValueError):
    """The condition can't be used; the message names the place and the fix."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path


def at(path: str, name: str) -> str:
    """The place of a part."""
    return f"{path}.{name}" if path else name


def shown(data: object) -> str:
    """What stands there, short enough for a message."""
    if isinstance(data, dict):
        return ", ".join(map(shown, data))[:80]
    return data[:80] if isinstance(data, str) else type(data).__name__


# --- names and times ------------------------------------------------------------------------------


def read_text(data: Any, path: str, *, limit: int = MAX_NAME) -> str:
    if not isinstance(data, str) or not data.strip():
        raise ConditionError(path, "must be text.")
    if len(data) > limit:
        raise ConditionError(path, f"must have at most {limit} characters.")
    return _storable(data.strip(), path)


def _storable(text: str, path: str) -> str:
    """No text that PostgreSQL can't hold either."""
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ConditionError(path, "has a character that no text can have.")
    return text


def read_path(data: Any, path: str) -> Path:
    names = tuple(read_text(data, path).split("."))
    if not all(names) or len(names) > MAX_PATH:
        raise ConditionError(
            path, f"must be a name, or up to {MAX_PATH} names with a dot between: order.total."
        )
    return names


def read_attribute(data: Any, path: str) -> Path:
    names = read_path(data, path)
    if len(names) == 1 and names[0] in _OTHER_NAMES:
        raise ConditionError(path, f"“{names[0]}” is called {_OTHER_NAMES[names[0]]} here.")
    return names


def read_key(data: Any, path: str, *, limit: int) -> str:
    text = read_text(data, path, limit=limit)
    if not re.fullmatch(r"[-a-zA-Z0-9_]+", text):
        raise ConditionError(path, f"“{shown(text)}” must have only letters, digits, - and _.")
    return text


def read_duration(data: Any, path: str) -> timedelta:
    try:
        duration = parse_duration(read_text(data, path))
    except BadDuration as problem:
        raise ConditionError(path, str(problem)) from problem
    if not timedelta(0) < duration <= MAX_DURATION:
        raise ConditionError(path, "must be more than nothing and at most 100 years.")
    return duration


def read_moment(data: Any, path: str) -> Moment:
    """A day or an instant, as YAML reads it or as text; without a zone it is meant in UTC."""
    text = data.isoformat() if isinstance(data, date) else data
    instant = read_instant(text)
    if instant is None:
        raise ConditionError(
            path, "must be a date such as 2026-01-31, or a time such as 2026-01-31T18:00Z."
        )
    is_day = len(text) == len("2026-01-31")
    end = datetime.combine(instant, time.max, UTC) if is_day else instant
    return Moment(text, start=instant, end=end)


# --- what an operator compares with ---------------------------------------------------------------


def read_operand(operator: str, data: Any, path: str) -> Operand:
    return _READERS[operator](data, path)


def _scalar(data: Any, path: str) -> Scalar:
    if isinstance(data, bool):
        return data
    if isinstance(data, int | float):
        return _number(data, path)
    if isinstance(data, date):
        return data.isoformat()
    if not isinstance(data, str):
        raise ConditionError(path, _NOT_ONE_VALUE.get(type(data), "must be one value."))
    if len(data) > MAX_TEXT:
        raise ConditionError(path, f"must have at most {MAX_TEXT} characters.")
    return _storable(data, path)


_NOT_ONE_VALUE = {
    list: "is a list; use in: or not_in: for several values.",
    dict: "must be one value, or {var: entry_key} inside a workflow.",
    type(None): "is empty; use “is_set: false” for what is not known.",
}


def _number(data: Any, path: str) -> Decimal:
    if isinstance(data, bool) or not isinstance(data, int | float):
        raise ConditionError(path, "must be a number; for dates use before: or after:.")
    number = None
    if isinstance(data, int):
        number = Decimal(data)
    elif isfinite(data):
        number = Decimal(repr(data))
    if number is None or number.copy_abs() >= MAX_NUMBER:
        raise ConditionError(path, "is too large a number to compare with.")
    return number


def _scalars(data: Any, path: str) -> tuple[Scalar, ...]:
    if not isinstance(data, list) or not 0 < len(data) <= MAX_LIST:
        raise ConditionError(path, f"must be a list of 1 to {MAX_LIST:,} values such as [DE, FR].")
    return tuple(_scalar(one, f"{path}[{number}]") for number, one in enumerate(data))


def _element(data: Any, path: str) -> Scalar:
    scalar = _scalar(data, path)
    if isinstance(scalar, bool) or scalar == "":
        raise ConditionError(path, "must be text or a number.")
    return scalar


def _piece(data: Any, path: str) -> str:
    if not isinstance(data, str) or not data:
        raise ConditionError(path, "must be text; put digits into quotes.")
    return str(_scalar(data, path))


def _flag(data: Any, path: str) -> bool:
    if not isinstance(data, bool):
        raise ConditionError(path, "must be true or false.")
    return data


_READERS: dict[str, Callable[[Any, str], Operand]] = {
    "is": _scalar,
    "is_not": _scalar,
    "in": _scalars,
    "not_in": _scalars,
    "contains": _element,
    "starts_with": _piece,
    "ends_with": _piece,
    "at_least": _number,
    "at_most": _number,
    "greater_than": _number,
    "less_than": _number,
    "before": read_moment,
    "after": read_moment,
    "is_set": _flag,
}


def fit_to_column(name: str, test: Comparison, path: str) -> Comparison:
    """The comparison in the form in which a contact's column is stored."""
    place = at(path, test.operator)
    if name in TIME_COLUMNS and test.operator not in ("before", "after", "is_set"):
        raise ConditionError(place, f"{name} is a time; use before:, after: or is_set:.")
    if name not in TEXT_COLUMNS or test.operator == "is_set":
        return test
    operands: Any = test.operand if isinstance(test.operand, tuple) else (test.operand,)
    if any(isinstance(one, bool) for one in operands):
        # YAML reads a bare NO, the country, as false.
        raise ConditionError(place, f"{name} is text; put the value into quotes, as in 'NO'.")
    form = _STORED_FORM.get(name, str)
    formed = tuple(form(one) if isinstance(one, str) else one for one in operands)
    return Comparison(test.operator, formed if isinstance(test.operand, tuple) else formed[0])
