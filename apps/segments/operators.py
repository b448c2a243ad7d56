"""What each operator means, once in Python and once in SQL; the two must agree on every value.

Values come from the outside and may be anything that JSON can hold. So each comparison first asks
what kind of value it has, and a value of another kind just doesn't match: nothing here can fail.
Both halves know two answers only; what is missing, null or of another kind is "no".
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, cast

from apps.segments.sql import FALSE, Sql, any_of, param, sql
from apps.segments.tree import Comparison, Moment, Path, Scalar, Var

# Texts that count as numbers, and as dates and times (ISO 8601, years 1000 to 2999). What they let
# through, PostgreSQL can cast: that is why they know the length of each month.
NUMBER = r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?"
_DAY = (
    r"(?:[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|[12][0-9](?:0[48]|[2468][048]|[13579][26])-02-29|(?:12|16|20|24|28)00-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])"
INSTANT = f"{_DAY}(?:[T ]{_TIME}{_ZONE}?)?"

_is_number = re.compile(NUMBER).fullmatch
_is_instant = re.compile(INSTANT).fullmatch


def read_number(value: object) -> Decimal | None:
    """The number that a value is, or that a text spells out."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return Decimal(repr(value)) if isfinite(value) else None
    if isinstance(value, int) or (isinstance(value, str) and _is_number(value)):
        return Decimal(value)
    return None


def read_instant(value: object) -> datetime | None:
    """The instant that a text spells out; without a zone it is meant in UTC."""
    if not isinstance(value, str) or not _is_instant(value):
        return None
    instant = datetime.fromisoformat(value)
    return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)


def write_number(number: Decimal) -> str:
    """A number as people and JSON write it, without an exponent."""
    return f"{number:f}"


# --- in Python ------------------------------------------------------------------------------------


def find(data: object, path: Path) -> Any:
    """What lies at the end of a path through objects; None where it breaks off."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def holds(test: Comparison, value: object, *, entry_key: str = "") -> bool:
    """Judge one value of a JSON document."""
    return _JUDGES[test.operator](value, test.operand, entry_key)


_Judge = Callable[[Any, Any, str], bool]


def _equals(value: object, wanted: Scalar | Var, entry_key: str) -> bool:
    if isinstance(wanted, Var):
        return entry_key != "" and _equals(value, entry_key, "")
    if isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, Decimal):
        return read_number(value) == wanted
    if isinstance(value, str):
        return value == wanted
    number = read_number(value)
    return number is not None and number == read_number(wanted)


def _contains(value: object, wanted: Scalar, entry_key: str) -> bool:
    if isinstance(value, list):
        return any(_equals(one, wanted, "") for one in value)
    return isinstance(value, str) and _text_of(wanted) in value


def _is_set(value: object, wanted: bool, entry_key: str) -> bool:
    return (value is not None and value != "") is wanted


def _compares(
    read: Callable[[object], Any], bound: Callable[[Any], Any], compare: Callable[[Any, Any], bool]
) -> _Judge:
    def judge(value: object, wanted: Any, _: str) -> bool:
        read_value = read(value)
        return read_value is not None and compare(read_value, bound(wanted))

    return judge


def _text_of(wanted: Scalar) -> str:
    return write_number(wanted) if isinstance(wanted, Decimal) else str(wanted)


def _as_is(wanted: Any) -> Any:
    return wanted


_JUDGES: dict[str, _Judge] = {
    "is": _equals,
    "is_not": lambda value, wanted, key: not _equals(value, wanted, key),
    "in": lambda value, wanted, key: any(_equals(value, one, key) for one in wanted),
    "not_in": lambda value, wanted, key: not any(_equals(value, one, key) for one in wanted),
    "contains": _contains,
    "starts_with": lambda value, start, _: isinstance(value, str) and value.startswith(start),
    "ends_with": lambda value, end, _: isinstance(value, str) and value.endswith(end),
    "at_least": _compares(read_number, _as_is, lambda a, b: a >= b),
    "at_most": _compares(read_number, _as_is, lambda a, b: a <= b),
    "greater_than": _compares(read_number, _as_is, lambda a, b: a > b),
    "less_than": _compares(read_number, _as_is, lambda a, b: a < b),
    "before": _compares(read_instant, lambda moment: moment.start, lambda a, b: a < b),
    "after": _compares(read_instant, lambda moment: moment.end, lambda a, b: a > b),
    "is_set": _is_set,
}


# --- in SQL ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in a row, read as each kind that it may be; NULL where it is not.

    `whole` is the value as JSON; `json` the same in JSON documents only, where any kind may stand.
    """

    whole: Sql
    text: Sql
    number: Sql
    instant: Sql
    is_set: Sql
    json: Sql | None = None


def json_place(document: Sql, path: Path) -> Place:
    """A value in a JSON column; like find(), `->` with a text goes through objects only."""
    value = document
    for name in path:
        value = sql("({} -> {})", value, param(name, "text"))
    text = sql("({} #>> '{{}}')", value)
    return Place(
        whole=value,
        text=sql("CASE jsonb_typeof({}) WHEN 'string' THEN {} END", value, text),
        number=sql(
            "CASE jsonb_typeof({}) WHEN 'number' THEN {}::numeric WHEN 'string' THEN {} END",
            value,
            text,
            _cast(text, NUMBER, "numeric"),
        ),
        instant=sql(
            "CASE jsonb_typeof({}) WHEN 'string' THEN {} END",
            value,
            _cast(text, INSTANT, "timestamptz"),
        ),
        is_set=sql("{} NOT IN ('null'::jsonb, '\"\"'::jsonb)", value),
        json=value,
    )


def text_place(column: Sql) -> Place:
    """A text column, where empty and NULL both mean that nothing is known."""
    return Place(
        whole=sql("to_jsonb({})", column),
        text=column,
        number=_cast(column, NUMBER, "numeric"),
        instant=_cast(column, INSTANT, "timestamptz"),
        is_set=sql("{} <> ''", column),
    )


def time_place(column: Sql) -> Place:
    """A column that holds an instant and can't be compared with anything else."""
    return Place(
        whole=sql("to_jsonb({})", column),
        text=Sql("NULL::text"),
        number=Sql("NULL::numeric"),
        instant=column,
        is_set=sql("{} IS NOT NULL", column),
    )


def operator_sql(test: Comparison, place: Place, *, entry_key: Sql = FALSE) -> Sql:
    """The same judgment over a row: TRUE or, as WHERE reads it, not TRUE."""
    if test.operator in _OPPOSITES:
        opposite = Comparison(_OPPOSITES[test.operator], test.operand)
        return sql("({}) IS NOT TRUE", operator_sql(opposite, place, entry_key=entry_key))
    if test.operator == "is":
        return _equals_sql(place, cast(Scalar | Var, test.operand), entry_key)
    return _WRITERS[test.operator](place, test.operand)


_OPPOSITES = {"is_not": "is", "not_in": "in"}


def _cast(text: Sql, pattern: str, kind: str) -> Sql:
    """A text as another type where it can be. The session's zone, for times without one, is UTC."""
    matches = sql("{} ~ {}", text, param(f"^(?:{pattern})$", "text"))
    return sql(f"CASE WHEN {{}} THEN {{}}::{kind} END", matches, text)


def _equals_sql(place: Place, wanted: Scalar | Var, entry_key: Sql) -> Sql:
    if isinstance(wanted, Var):
        return _equals_key(place, entry_key)
    if isinstance(wanted, Decimal):
        return sql("{} = {}", place.number, _numeric(wanted))
    if place.json is not None:
        return _any_json(place.json, [wanted])
    return FALSE if isinstance(wanted, bool) else sql("{} = {}", place.text, param(wanted, "text"))


def _equals_key(place: Place, key: Sql) -> Sql:
    """The entry key is text; a property that is a number equals the text that spells it."""
    same_text = sql("{} = {}", place.text, key)
    same_number = sql("{} = {}", place.number, _cast(key, NUMBER, "numeric"))
    if place.json is not None:
        is_number = sql("jsonb_typeof({}) = 'number'", place.json)
        same_text = any_of([same_text, sql("({} AND {})", is_number, same_number)])
    return sql("({} <> '' AND {})", key, same_text)


def _among(place: Place, wanted: tuple[Scalar, ...]) -> Sql:
    numbers = [write_number(one) for one in wanted if isinstance(one, Decimal)]
    others = [one for one in wanted if not isinstance(one, Decimal)]
    parts = []
    if numbers:
        parts.append(sql("{} = ANY ({})", place.number, param(numbers, "numeric[]")))
    if others and place.json is not None:
        parts.append(_any_json(place.json, others))
    elif texts := [one for one in others if isinstance(one, str)]:
        parts.append(sql("{} = ANY ({})", place.text, param(texts, "text[]")))
    return any_of(parts)


def _any_json(place: Sql, wanted: list[Any]) -> Sql:
    """Texts and truths are equal as they are; a text that spells a number equals that, too."""
    spelled = [read_number(one) for one in wanted]
    numbers = [write_number(number) for number in spelled if number is not None]
    values = [json.dumps(one) for one in wanted] + numbers
    if len(values) == 1:
        return sql("{} = {}", place, param(values[0], "jsonb"))
    return sql("{} = ANY ({})", place, param(values, "jsonb[]"))


def _contains_sql(place: Place, wanted: Scalar) -> Sql:
    has_part = sql("strpos({}, {}) > 0", place.text, param(_text_of(wanted), "text"))
    if place.json is None:
        return has_part
    is_element = _equals_sql(json_place(Sql("element.value"), ()), wanted, FALSE)
    return sql(
        "CASE jsonb_typeof({}) WHEN 'array' THEN"
        " EXISTS (SELECT FROM jsonb_array_elements({}) AS element (value) WHERE {}) ELSE {} END",
        place.json,
        place.json,
        is_element,
        has_part,
    )


def _numeric(number: Decimal) -> Sql:
    return param(write_number(number), "numeric")


def _number_sql(sign: str) -> Callable[[Place, Any], Sql]:
    return lambda place, wanted: sql(f"{{}} {sign} {{}}", place.number, _numeric(wanted))


def _before(place: Place, wanted: Moment) -> Sql:
    return sql("{} < {}", place.instant, param(wanted.start, "timestamptz"))


def _after(place: Place, wanted: Moment) -> Sql:
    return sql("{} > {}", place.instant, param(wanted.end, "timestamptz"))


def _ends_with(place: Place, end: str) -> Sql:
    return sql("right({}, {}) = {}", place.text, param(len(end), "int"), param(end, "text"))


def _starts_with(place: Place, start: str) -> Sql:
    return sql("starts_with({}, {})", place.text, param(start, "text"))


def _is_set_sql(place: Place, wanted: bool) -> Sql:
    return place.is_set if wanted else sql("({}) IS NOT TRUE", place.is_set)


_WRITERS: dict[str, Callable[[Place, Any], Sql]] = {
    "in": _among,
    "contains": _contains_sql,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "at_least": _number_sql(">="),
    "at_most": _number_sql("<="),
    "greater_than": _number_sql(">"),
    "less_than": _number_sql("<"),
    "before": _before,
    "after": _after,
    "is_set": _is_set_sql,
}
OPERATORS = tuple(_JUDGES)
