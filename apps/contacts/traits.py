"""What an identify call tells about a person, checked and put where it belongs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.contacts.fields import Misfit, fit
from apps.contacts.models import ContactField

MAX_ATTRIBUTES = 500
MAX_NAME = 100

# How clients write each field, and how much it holds.
_FIELDS = {
    "firstName": ("first_name", 150),
    "first_name": ("first_name", 150),
    "lastName": ("last_name", 150),
    "last_name": ("last_name", 150),
    "phone": ("phone", 40),
    "locale": ("locale", 20),
    "timezone": ("time_zone", 64),
    "timeZone": ("time_zone", 64),
    "time_zone": ("time_zone", 64),
    "country": ("country", 2),
}
# Found elsewhere: the address is an identity, and the full name is split below.
_HANDLED = {"email", "name"}
# What a declared field can't be called: it is known already, under this name or another.
RESERVED = frozenset(
    {*_FIELDS, *_HANDLED, "address", "id", "external_id", "user_id", "userId", "created_at"}
)


@dataclass
class Reading:
    """Columns and attributes to set, and the traits that were left out, each with its reason."""

    columns: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


def read(traits: dict[str, Any], fields: Mapping[str, ContactField] | None = None) -> Reading:
    """Sort traits into columns and attributes; a null says nothing and changes nothing.

    What is told of a declared field becomes its type, or is left out.
    """
    reading = Reading()
    fields = fields or {}
    for name, value in traits.items():
        if value is None or name in _HANDLED:
            continue
        if name in _FIELDS:
            _read_field(reading, name, value)
        elif len(name) > MAX_NAME:
            reading.dropped.append(f"{name[:20]}…: the name is too long")
        elif name in fields:
            _read_declared(reading, fields[name], value)
        else:
            reading.attributes[name] = value
    _read_full_name(reading, traits.get("name"))
    address = traits.get("address")
    if isinstance(address, dict) and address.get("country") and "country" not in reading.columns:
        _read_field(reading, "country", address["country"])
    return reading


def merge(attributes: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """Return the attributes with the new ones; beyond the limit new names are dropped."""
    merged = dict(attributes)
    for name, value in reading.attributes.items():
        if name in merged or len(merged) < MAX_ATTRIBUTES:
            merged[name] = value
        else:
            reading.dropped.append(f"{name[:20]}: too many attributes")
    return merged


def _read_field(reading: Reading, name: str, value: object) -> None:
    column, limit = _FIELDS[name]
    if name == "phone" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        reading.dropped.append(f"{name}: not text")
        return
    text = value.strip()
    if column == "country":
        text = text.upper()
        if text and not (len(text) == limit and text.isascii() and text.isalpha()):
            reading.dropped.append(f"{name}: not a two-letter country")
            return
    if len(text) > limit:
        reading.dropped.append(f"{name}: longer than {limit} characters")
        return
    if text:
        reading.columns[column] = text


def _read_declared(reading: Reading, declared: ContactField, value: object) -> None:
    try:
        fitting = fit(declared, value)
    except Misfit as problem:
        reading.dropped.append(f"{declared.key}: {problem}")
        return
    if fitting is not None:
        reading.attributes[declared.key] = fitting


def _read_full_name(reading: Reading, name: object) -> None:
    """Split a full name where the parts weren't told."""
    if name is None or "first_name" in reading.columns or "last_name" in reading.columns:
        return
    if not isinstance(name, str):
        reading.dropped.append("name: not text")
        return
    first, _, last = name.strip().partition(" ")
    _read_field(reading, "firstName", first)
    _read_field(reading, "lastName", last)
