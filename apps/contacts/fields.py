"""The values of declared fields: read from cells, forms and events, and written for people.

What is stored is typed JSON, as the conditions of segments compare it: dates and times are ISO 8601
text, times in UTC.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from apps.contacts.models import ContactField
from apps.core import wording
from apps.core.clock import BadInstant, parse_instant

Kind = ContactField.Kind

MAX_TEXT = 10_000
MAX_ITEM = 200
MAX_ITEMS = 100
MAX_URL = 2_000
MAX_NUMBER = 10**30
YES = frozenset({"yes", "y", "true", "t", "1", "on", "x"})
NO = frozenset({"no", "n", "false", "f", "0", "off"})
# Processes that read events see a change within so many seconds.
SECONDS_FIELDS_ARE_KEPT = 5.0

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DIVIDER = re.compile(r"[;\n]")
# Conditions compare these years.
_YEARS = range(1000, 3000)

_kept: list[tuple[float, dict[str, ContactField]]] = []


class Misfit(ValueError):
    """A value that the field can't hold; the text says what it isn't."""


def declared() -> Mapping[str, ContactField]:
    """All fields by their keys, in the order of pages."""
    if not _kept or _kept[0][0] <= time.monotonic():
        rows = ContactField.objects.order_by("order", "label", "pk")
        _kept[:] = [(time.monotonic() + SECONDS_FIELDS_ARE_KEPT, {row.key: row for row in rows})]
    return _kept[0][1]


def forget() -> None:
    """Look the fields up anew."""
    _kept.clear()


def fit(field: ContactField, value: object) -> Any:
    """The value as it is stored, or None where nothing was said; raise Misfit."""
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        return None
    return _FITTERS[field.kind](field, value)


def write(field: ContactField, value: object) -> str:
    """A stored value as text that fit() reads back: for cells and forms."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.kind == Kind.LIST and isinstance(value, list):
        return _join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def tell(field: ContactField, value: Any) -> str:
    """A stored value as people read it."""
    if field.kind == Kind.LIST and isinstance(value, list):
        return ", ".join(map(str, value))
    return wording.told(value)


# --- what each type takes -------------------------------------------------------------------------


def _text(field: ContactField, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Misfit("not text")
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > MAX_TEXT:
        raise Misfit(f"longer than {MAX_TEXT:,} characters")
    return text


def _number(field: ContactField, value: object) -> int | float:
    number = value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = int(value) if _WHOLE.fullmatch(value) else float(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Misfit("not a number such as 12 or 3.5")
    if not isfinite(number) or abs(number) >= MAX_NUMBER:
        raise Misfit("not a number that can be compared")
    return number


def _boolean(field: ContactField, value: object) -> bool:
    text = str(value).lower()
    if isinstance(value, bool | int | str) and text in YES | NO:
        return text in YES
    raise Misfit("neither yes nor no")


def _date(field: ContactField, value: object) -> str:
    """The day that was told, whatever the time and its zone."""
    try:
        day = datetime.fromisoformat(str(value)).date()
    except ValueError as problem:
        raise Misfit("not a date such as 2026-01-31") from problem
    return _comparable(day.year, day.isoformat())


def _datetime(field: ContactField, value: object) -> str:
    try:
        instant = parse_instant(str(value))
    except BadInstant as problem:
        raise Misfit("not a time such as 2026-01-31T18:00Z") from problem
    return _comparable(instant.year, instant.isoformat())


def _comparable(year: int, text: str) -> str:
    if year not in _YEARS:
        raise Misfit("not a year that can be compared")
    return text


def _choice(field: ContactField, value: object) -> str:
    return _find_choice(field, _item(value))


def _list(field: ContactField, value: object) -> list[str]:
    items = _split(value) if isinstance(value, str) else value
    if not isinstance(items, list):
        items = [items]
    if len(items) > MAX_ITEMS:
        raise Misfit(f"more than {MAX_ITEMS} values")
    texts = (_item(one) for one in items)
    found = [_find_choice(field, text) if field.choices else text for text in texts if text]
    return list(dict.fromkeys(found))


def _url(field: ContactField, value: object) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) and len(value) <= MAX_URL else None
    except ValueError:
        parts = None
    if not parts or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Misfit("not a web address such as https://shop.example/tea")
    if re.search(r"\s", str(value)):
        raise Misfit("not a web address: it has spaces")
    return str(value)


def _item(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Misfit("not text")
    text = value.strip() if isinstance(value, str) else json.dumps(value)
    if len(text) > MAX_ITEM:
        raise Misfit(f"longer than {MAX_ITEM} characters")
    return text


def _find_choice(field: ContactField, text: str) -> str:
    """The choice that is meant; how it is spelled in upper and lower case doesn't matter."""
    if text in field.choices:
        return text
    for choice in field.choices:
        if choice.casefold() == text.casefold():
            return choice
    raise Misfit(f"none of {', '.join(field.choices)[:200]}")


_FITTERS: dict[str, Callable[[ContactField, object], Any]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
    Kind.CHOICE: _choice,
    Kind.LIST: _list,
    Kind.URL: _url,
}


# --- several values in one cell -------------------------------------------------------------------


def _split(text: str) -> list[Any]:
    """Divided by semicolons or lines, or a list in JSON where a value has one of these itself."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list):
            return found
    return [part.strip() for part in _DIVIDER.split(text)]


def _join(values: Iterable[Any]) -> str:
    texts = list(values)
    plain = "; ".join(map(str, texts))
    is_plain = all(isinstance(one, str) for one in texts) and _split(plain) == texts
    return plain if is_plain else json.dumps(texts, ensure_ascii=False)
