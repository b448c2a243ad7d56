"""JSON Schema for the properties of events: the common keywords quickly, the others by jsonschema.

What is null counts as not told: clients send null for what they don't know.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

MAX_FAULTS = 10
MAX_ITEMS = 50
MAX_PATH = 200
MAX_SCHEMA_DEPTH = 12

# Their cost depends on what a stranger sends, or they would load something.
FORBIDDEN = frozenset(
    {"pattern", "patternProperties", "$ref", "$dynamicRef", "$recursiveRef", "propertyNames"}
)

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (),
}
_LIGHT = frozenset(
    {"type", "properties", "required", "items", "enum", "minimum", "maximum"}
    | {"title", "description", "$schema", "$id", "examples", "default", "$comment"}
)
_SHAPES: dict[str, type] = {"properties": dict, "required": list, "enum": list}
_WORDS = {
    str: "text",
    bool: "yes or no",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


class BadSchema(ValueError):
    """The rules can't be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that an event breaks. What was found is told by its kind, never by its value."""

    property: str
    reason: str
    found: str = ""


Check = Callable[[Any, str, list[Fault]], None]


def compile_schema(schema: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], list[Fault]]:
    """Return what checks an event's properties; a schema that can't be used checks nothing."""
    check = _by_keywords(schema) if _is_light(schema) else _by_library(schema)

    def find(properties: Mapping[str, Any]) -> list[Fault]:
        faults: list[Fault] = []
        check(properties, "", faults)
        return faults[:MAX_FAULTS]

    return find


def check_schema(schema: object) -> None:
    """Raise BadSchema where staff's rules are no JSON Schema, or use what is kept out."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 -- heavy, and rarely needed
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    if not isinstance(schema, dict):
        raise BadSchema("The rules are one JSON object.")
    _forbid(schema, 0)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as problem:
        place = ".".join(str(part) for part in problem.absolute_path)
        raise BadSchema(f"{place or 'The rules'}: {problem.message[:200]}") from problem


def describe(value: object) -> str:
    """What kind of value it is."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "an empty text" if not value else f"text of {len(value)} characters"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return _WORDS.get(type(value), "something else")


# --- the common keywords ------------------------------------------------------------------------


def _is_light(schema: object) -> bool:
    if not isinstance(schema, dict) or schema.keys() - _LIGHT:
        return False
    if not all(isinstance(schema.get(name, kind()), kind) for name, kind in _SHAPES.items()):
        return False
    kinds = schema.get("type", [])
    names = kinds if isinstance(kinds, list) else [kinds]
    if not all(isinstance(name, str) and name in _KINDS for name in names):
        return False
    children = list(schema.get("properties", {}).values())
    children += [schema["items"]] if "items" in schema else []
    return all(_is_light(child) for child in children)


def _by_keywords(schema: Mapping[str, Any]) -> Check:
    kinds = _kinds(schema)
    made = [make(schema) for keyword, make in _CHECKS.items() if keyword in schema]
    rest = [one for one in made if one is not None]

    def check(value: Any, path: str, faults: list[Fault]) -> None:
        if kinds and type(value) not in kinds and not _is_whole(value, kinds):
            faults.append(Fault(path, "wrong_type", describe(value)))
            return
        for one in rest:
            one(value, path, faults)

    return check


def _kinds(schema: Mapping[str, Any]) -> frozenset[type]:
    told = schema.get("type", [])
    return frozenset(
        kind for name in (told if isinstance(told, list) else [told]) for kind in _KINDS[name]
    )


def _is_whole(value: object, kinds: frozenset[type]) -> bool:
    """JSON knows one kind of number: 2.0 is whole."""
    return isinstance(value, float) and int in kinds and value.is_integer()


def _properties(schema: Mapping[str, Any]) -> Check | None:
    checks = [
        (name, kinds, None if _is_plain(child) else _by_keywords(child))
        for name, child in schema["properties"].items()
        if (kinds := _kinds(child)) or not _is_plain(child)
    ]

    def check(value: Any, path: str, faults: list[Fault]) -> None:
        if not isinstance(value, dict):
            return
        get = value.get
        for name, kinds, rest in checks:
            one = get(name)
            if one is None or (rest is None and type(one) in kinds):
                continue
            if rest is not None:
                rest(one, _join(path, name), faults)
            elif not _is_whole(one, kinds):
                faults.append(Fault(_join(path, name), "wrong_type", describe(one)))

    return check if checks else None


def _is_plain(schema: Mapping[str, Any]) -> bool:
    return not any(keyword in schema for keyword in _CHECKS)


def _required(schema: Mapping[str, Any]) -> Check:
    names = [str(name) for name in schema["required"]]

    def check(value: Any, path: str, faults: list[Fault]) -> None:
        if isinstance(value, dict):
            missing = [name for name in names if value.get(name) is None]
            faults += [Fault(_join(path, name), "missing") for name in missing]

    return check


def _items(schema: Mapping[str, Any]) -> Check:
    one = _by_keywords(schema["items"])

    def check(value: Any, path: str, faults: list[Fault]) -> None:
        if not isinstance(value, list):
            return
        for item in value[:MAX_ITEMS]:
            if len(faults) >= MAX_FAULTS:
                return
            one(item, f"{path}[]", faults)

    return check


def _enum(schema: Mapping[str, Any]) -> Check:
    allowed = list(schema["enum"])

    def check(value: Any, path: str, faults: list[Fault]) -> None:
        if value not in allowed:
            faults.append(Fault(path, "not_allowed", describe(value)))

    return check


def _bounds(schema: Mapping[str, Any]) -> Check:
    least, most = schema.get("minimum"), schema.get("maximum")

    def check(value: Any, path: str, faults: list[Fault]) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        if (least is not None and value < least) or (most is not None and value > most):
            faults.append(Fault(path, "out_of_range", describe(value)))

    return check


def _upper_bound(schema: Mapping[str, Any]) -> Check | None:
    return None if "minimum" in schema else _bounds(schema)


_CHECKS: dict[str, Callable[[Mapping[str, Any]], Check | None]] = {
    "required": _required,
    "properties": _properties,
    "items": _items,
    "enum": _enum,
    "minimum": _bounds,
    "maximum": _upper_bound,
}


# --- all the others -----------------------------------------------------------------------------


def _by_library(schema: Mapping[str, Any]) -> Check:
    try:
        check_schema(schema)
    except BadSchema:
        logger.warning("The rules of an event definition can't be used.")
        return lambda value, path, faults: None
    from jsonschema import Draft202012Validator  # noqa: PLC0415 -- heavy, and rarely needed

    validator = Draft202012Validator(dict(schema))
    ours = _declared(schema)

    def check(value: Any, path: str, faults: list[Fault]) -> None:
        told = {name: one for name, one in value.items() if one is not None}
        for problem in validator.iter_errors(told):
            if len(faults) >= MAX_FAULTS:
                return
            faults.append(_fault(problem, ours))

    return check


def _declared(schema: object) -> frozenset[str]:
    """The names that the rules use: any other one may be a stranger's words."""
    found: set[str] = set()
    if isinstance(schema, dict):
        properties = schema.get("properties")
        found.update(properties if isinstance(properties, dict) else ())
        found.update(*map(_declared, schema.values()))
    elif isinstance(schema, list):
        found.update(*map(_declared, schema))
    return frozenset(found)


def _fault(problem: Any, ours: frozenset[str]) -> Fault:
    path = ""
    for part in problem.absolute_path:
        name = str(part) if part in ours else "*"
        path = f"{path}[]" if isinstance(part, int) else _join(path, name)
    reason = _REASONS.get(problem.validator, "invalid")
    if reason == "missing":
        names = [name for name in problem.validator_value if name not in problem.instance]
        path = _join(path, str(names[0])) if names else path
        return Fault(path, reason)
    return Fault(path, reason, describe(problem.instance))


_REASONS = {
    "required": "missing",
    "type": "wrong_type",
    "enum": "not_allowed",
    "const": "not_allowed",
    "minimum": "out_of_range",
    "maximum": "out_of_range",
    "exclusiveMinimum": "out_of_range",
    "exclusiveMaximum": "out_of_range",
    "minLength": "wrong_length",
    "maxLength": "wrong_length",
    "minItems": "wrong_length",
    "maxItems": "wrong_length",
    "additionalProperties": "unknown_property",
    "unevaluatedProperties": "unknown_property",
}


def _join(path: str, name: str) -> str:
    return (f"{path}.{name}" if path else name)[:MAX_PATH]


def _forbid(schema: object, depth: int) -> None:
    if depth > MAX_SCHEMA_DEPTH:
        raise BadSchema("The rules nest too deep.")
    if isinstance(schema, dict):
        for name, child in schema.items():
            if name in FORBIDDEN and not isinstance(child, dict | bool):
                raise BadSchema(f"“{name}” can't be used here.")
            if name in ("patternProperties", "propertyNames"):
                raise BadSchema(f"“{name}” can't be used here.")
            _forbid(child, depth + 1)
    elif isinstance(schema, list):
        for child in schema:
            _forbid(child, depth + 1)
