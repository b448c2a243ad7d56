"""From plain data to the typed tree, with errors that name the place and the fix."""

from collections.abc import Callable
from typing import Any

from apps.segments.operands import (
    ConditionError,
    at,
    fit_to_column,
    read_attribute,
    read_duration,
    read_key,
    read_moment,
    read_operand,
    read_path,
    read_text,
    shown,
)
from apps.segments.operators import OPERATORS
from apps.segments.tree import (
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Condition,
    Consent,
    Did,
    Filter,
    InSegment,
    Not,
    Var,
    Window,
)

MAX_DEPTH = 10
MAX_PARTS = 100
MAX_COUNT = 10_000
SINCE_ENROLLMENT = "since_enrollment"
STATUSES = ("granted", "denied")
_NOT_HERE = "can't be used here; only conditions about people in a workflow know it."


def parse(data: Any, *, allow_enrollment: bool = False) -> Condition:
    """Check plain data and return the typed tree, or raise ConditionError.

    Only with `allow_enrollment` may it speak of an enrollment: `since_enrollment`, `var`.
    """
    return _Parser(allow_enrollment).read(data, "", depth=1)


class _Parser:
    """Reads one condition, and counts its parts."""

    def __init__(self, allow_enrollment: bool) -> None:
        self.allow_enrollment = allow_enrollment
        self.count = 0

    def read(self, data: Any, path: str, *, depth: int) -> Condition:
        kind = _kind_of(data, path)
        self.add(1, path)
        if depth > MAX_DEPTH:
            raise ConditionError(path, f"is nested deeper than {MAX_DEPTH} levels.")
        reader, allowed = _KINDS[kind]
        _only(data, path, (kind, *allowed))
        return reader(self, data, path, depth)

    def add(self, count: int, path: str) -> None:
        self.count += count
        if self.count > MAX_PARTS:
            raise ConditionError(path, f"a condition may have {MAX_PARTS} parts at most.")

    # --- all, any, not --------------------------------------------------------------------------

    def all_of(self, data: dict[str, Any], path: str, depth: int) -> Condition:
        return AllOf(self.parts(data["all"], at(path, "all"), depth))

    def any_of(self, data: dict[str, Any], path: str, depth: int) -> Condition:
        return AnyOf(self.parts(data["any"], at(path, "any"), depth))

    def negate(self, data: dict[str, Any], path: str, depth: int) -> Condition:
        return Not(self.read(data["not"], at(path, "not"), depth=depth + 1))

    def parts(self, data: Any, path: str, depth: int) -> tuple[Condition, ...]:
        if not isinstance(data, list) or not data:
            raise ConditionError(path, "must be a list of conditions, each starting with “- ”.")
        return tuple(
            self.read(part, f"{path}[{number}]", depth=depth + 1)
            for number, part in enumerate(data)
        )

    # --- contacts -------------------------------------------------------------------------------

    def attribute(self, data: dict[str, Any], path: str, depth: int) -> Condition:
        names = read_attribute(data["attribute"], at(path, "attribute"))
        test = self.comparison(data, "attribute", path)
        return Attribute(names, fit_to_column(names[0], test, path) if len(names) == 1 else test)

    def consent(self, data: dict[str, Any], path: str, depth: int) -> Condition:
        purpose = read_key(data["consent"], at(path, "consent"), limit=40)
        operators = [name for name in ("is", "is_not") if name in data]
        if len(operators) != 1 or data[operators[0]] not in STATUSES:
            raise ConditionError(path, "must say “is: granted” or “is: denied” (or is_not:).")
        return Consent(purpose, data[operators[0]], is_wanted=operators[0] == "is")

    def in_segment(self, data: dict[str, Any], path: str, depth: int) -> Condition:
        return InSegment(read_key(data["in_segment"], at(path, "in_segment"), limit=60))

    # --- events ---------------------------------------------------------------------------------

    def did(self, data: dict[str, Any], path: str, depth: int) -> Condition:
        event = read_text(data["did"], at(path, "did"))
        at_least, at_most = _counts(data, path)
        where, window = self.where(data, path), self.window(data, path)
        return Did(event, where, at_least, at_most, window)

    def did_not(self, data: dict[str, Any], path: str, depth: int) -> Condition:
        event = read_text(data["did_not"], at(path, "did_not"))
        where, window = self.where(data, path), self.window(data, path)
        return Did(event, where, at_least=0, at_most=0, window=window)

    def where(self, data: dict[str, Any], path: str) -> tuple[Filter, ...]:
        place, filters = at(path, "where"), data.get("where", [])
        if not isinstance(filters, list):
            raise ConditionError(place, "must be a list such as [{property: category, is: shoes}].")
        self.add(len(filters), place)
        return tuple(self.filter(one, f"{place}[{i}]") for i, one in enumerate(filters))

    def filter(self, data: Any, path: str) -> Filter:
        if not isinstance(data, dict) or "property" not in data:
            raise ConditionError(path, "must be like {property: category, is: shoes}.")
        _only(data, path, ("property", *OPERATORS))
        names = read_path(data["property"], at(path, "property"))
        return Filter(names, self.comparison(data, "property", path))

    def window(self, data: dict[str, Any], path: str) -> Window:
        if "between" in data:
            if "within" in data or "more_than_ago" in data:
                raise ConditionError(at(path, "between"), "can't stand beside within: or ago:.")
            return _between(data["between"], at(path, "between"))
        is_since = data.get("within") == SINCE_ENROLLMENT
        if is_since and not self.allow_enrollment:
            raise ConditionError(at(path, "within"), f"{SINCE_ENROLLMENT} {_NOT_HERE}")
        within, ago = (
            read_duration(data[name], at(path, name)) if name in data and not skipped else None
            for name, skipped in (("within", is_since), ("more_than_ago", False))
        )
        if within is not None and ago is not None and ago >= within:
            raise ConditionError(
                at(path, "more_than_ago"), "must be shorter than within:; nothing lies between."
            )
        return Window(within=within, is_since_enrollment=is_since, more_than_ago=ago)

    # --- operators ------------------------------------------------------------------------------

    def comparison(self, data: dict[str, Any], head: str, path: str) -> Comparison:
        operators = [name for name in OPERATORS if name in data]
        if not operators:
            raise ConditionError(path, f"needs an operator: one of {', '.join(OPERATORS)}.")
        if len(operators) > 1:
            raise ConditionError(
                path, f"has several operators ({', '.join(operators)}); write one {head} for each."
            )
        operator = operators[0]
        operand, place = data[operator], at(path, operator)
        if operator in ("is", "is_not") and isinstance(operand, dict) and "var" in operand:
            return Comparison(operator, self.var(operand, place))
        return Comparison(operator, read_operand(operator, operand, place))

    def var(self, data: dict[str, Any], path: str) -> Var:
        if data != {"var": Var.ENTRY_KEY}:
            raise ConditionError(path, "must be {var: entry_key}; there is no other.")
        if not self.allow_enrollment:
            raise ConditionError(path, f"{{var: entry_key}} {_NOT_HERE}")
        return Var(Var.ENTRY_KEY)


_Reader = Callable[[_Parser, dict[str, Any], str, int], Condition]
_WINDOW = ("within", "more_than_ago", "between")
_KINDS: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    "all": (_Parser.all_of, ()),
    "any": (_Parser.any_of, ()),
    "not": (_Parser.negate, ()),
    "attribute": (_Parser.attribute, OPERATORS),
    "did": (_Parser.did, ("where", "at_least", "at_most", "exactly", *_WINDOW)),
    "did_not": (_Parser.did_not, ("where", *_WINDOW)),
    "consent": (_Parser.consent, ("is", "is_not")),
    "in_segment": (_Parser.in_segment, ()),
}


def _kind_of(data: Any, path: str) -> str:
    if isinstance(data, list):
        raise ConditionError(path, "is a list; write “all:” or “any:” before it.")
    kinds = [kind for kind in _KINDS if isinstance(data, dict) and kind in data]
    if len(kinds) > 1:
        raise ConditionError(
            path, f"says {' and '.join(kinds)} at once; make them parts of “all:” or “any:”."
        )
    if not kinds:
        raise ConditionError(
            path, f"“{shown(data)}” is not a condition; start it with one of {', '.join(_KINDS)}."
        )
    return kinds[0]


def _only(data: dict[str, Any], path: str, allowed: tuple[str, ...]) -> None:
    for name in data:
        if name not in allowed:
            raise ConditionError(
                at(path, shown(name)), f"unknown; here may stand {', '.join(allowed)}."
            )


def _counts(data: dict[str, Any], path: str) -> tuple[int, int | None]:
    """How often at least and at most; once or more, if nothing is said."""
    if "exactly" in data:
        if "at_least" in data or "at_most" in data:
            raise ConditionError(at(path, "exactly"), "can't stand beside at_least: or at_most:.")
        exactly = _count(data, "exactly", path, lowest=0)
        return exactly, exactly
    at_most = _count(data, "at_most", path, lowest=0) if "at_most" in data else None
    at_least = 1 if at_most is None else 0
    if "at_least" in data:
        at_least = _count(data, "at_least", path, lowest=1)
    if at_most is not None and at_most < at_least:
        raise ConditionError(at(path, "at_most"), "must not be less than at_least:.")
    return at_least, at_most


def _count(data: dict[str, Any], name: str, path: str, *, lowest: int) -> int:
    count = data[name]
    if not isinstance(count, int) or isinstance(count, bool) or not lowest <= count <= MAX_COUNT:
        raise ConditionError(
            at(path, name), f"must be a whole number from {lowest} to {MAX_COUNT:,}."
        )
    return count


def _between(data: Any, path: str) -> Window:
    if not isinstance(data, list) or len(data) != 2:
        raise ConditionError(path, "must be two dates such as [2026-01-01, 2026-01-31].")
    start, end = (read_moment(one, f"{path}[{number}]") for number, one in enumerate(data))
    if end.end < start.start:
        raise ConditionError(path, "must have the earlier date first.")
    return Window(start=start, end=end)
