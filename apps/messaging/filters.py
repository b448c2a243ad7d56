"""The filters a template may use; each refuses to make more than a mail can hold."""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Any

from liquid.builtin.filters import array, math, misc, string
from liquid.exceptions import FilterArgumentError
from markupsafe import Markup

MAX_LENGTH = 256 * 1024
MAX_NUMBER = 10**15
_DATE_FORMAT = re.compile(r"(?:[^%]|%-?[aAbBdeHIjmMpSyYZ%]){1,60}")
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}


class TooMuch(Exception):
    """A filter was asked for something huge."""


def _size(value: Any) -> int:
    """How long a text or list is; a missing value has no length to ask for."""
    return len(value) if isinstance(value, str | list | dict | range) else 0


def _capped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse inputs and results beyond the caps."""

    @wraps(function)
    def capped(value: Any, *arguments: Any, **named: Any) -> Any:
        if any(_size(item) > MAX_LENGTH for item in (value, *arguments)):
            raise TooMuch("A filter was given too long a text.")
        result = function(value, *arguments, **named)
        if _size(result) > MAX_LENGTH:
            raise TooMuch("A filter made too long a text.")
        if isinstance(result, int | float) and abs(result) > MAX_NUMBER:
            raise TooMuch("A filter made too large a number.")
        return result

    return capped


def _grows_by_count(function: Callable[..., Any]) -> Callable[..., Any]:
    """For filters whose result multiplies: work out its size before making it."""

    @wraps(function)
    def bounded(value: Any, search: Any = "", substitute: Any = "", **named: Any) -> Any:
        if (str(value).count(str(search)) + 1) * len(str(substitute)) > MAX_LENGTH:
            raise TooMuch("A filter would make too long a text.")
        return function(value, search, substitute, **named)

    return bounded


def _joins(function: Callable[..., Any]) -> Callable[..., Any]:
    """For join: work out the size of the result before making it."""

    @wraps(function)
    def bounded(value: Any, separator: Any = " ", **named: Any) -> Any:
        if (_size(value) + 1) * (len(str(separator)) + 1) > MAX_LENGTH:
            raise TooMuch("A filter would make too long a text.")
        return function(value, separator, **named)

    return bounded


def date(value: Any, layout: str) -> str:
    """Write a time given as ISO 8601; other values stay as they are."""
    if not _DATE_FORMAT.fullmatch(str(layout)):
        raise FilterArgumentError(f"date does not know the format {str(layout)[:60]!r}", token=None)
    try:
        return datetime.fromisoformat(str(value)).strftime(str(layout))
    except ValueError:
        return str(value)


def money(value: Any, currency: Any = "") -> str:
    """Write an amount with two decimals and its currency: 1,299.00 € becomes “€1,299.00”."""
    try:
        amount = Decimal(str(value))
        text = f"{amount.quantize(Decimal('0.01')):,}"
    except InvalidOperation as problem:
        message = f"money needs a number, not {str(value)[:40]!r}"
        raise FilterArgumentError(message, token=None) from problem
    code = str(currency or "").upper()[:3]
    if code in _SYMBOLS:
        return f"{_SYMBOLS[code]}{text}"
    return f"{text} {code}".strip()


def escape(value: Any) -> Any:
    """Escape for HTML; in a body every value is escaped already, so nothing happens twice."""
    return value if isinstance(value, Markup) else str(value)


_PLAIN: dict[str, Callable[..., Any]] = {
    "abs": math.abs_,
    "append": string.append,
    "at_least": math.at_least,
    "at_most": math.at_most,
    "capitalize": string.capitalize,
    "ceil": math.ceil,
    "compact": array.compact,
    "date": date,
    "default": misc.default,
    "divided_by": math.divided_by,
    "downcase": string.downcase,
    "escape": escape,
    "first": array.first,
    "floor": math.floor,
    "join": _joins(array.join),
    "last": array.last,
    "lstrip": string.lstrip,
    "map": array.map_,
    "minus": math.minus,
    "modulo": math.modulo,
    "money": money,
    "newline_to_br": string.newline_to_br,
    "plus": math.plus,
    "prepend": string.prepend,
    "remove": string.remove,
    "replace": _grows_by_count(string.replace),
    "replace_first": string.replace_first,
    "reverse": array.reverse,
    "round": math.round_,
    "rstrip": string.rstrip,
    "size": misc.size,
    "slice": string.slice_,
    "split": string.split,
    "strip": string.strip,
    "strip_newlines": string.strip_newlines,
    "times": math.times,
    "truncate": string.truncate,
    "truncatewords": string.truncatewords,
    "upcase": string.upcase,
    "url_encode": string.url_encode,
}
FILTERS = {name: _capped(function) for name, function in _PLAIN.items()}
