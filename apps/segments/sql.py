"""Pieces of SQL that carry their own parameters, so that no value ever becomes text of a query."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a query and the parameters of its placeholders, in order."""

    text: str
    params: tuple[Any, ...] = ()


TRUE = Sql("TRUE")
FALSE = Sql("FALSE")


def sql(template: str, *parts: Sql) -> Sql:
    """Put pieces into the places marked {} of a template, which is always our own text."""
    text = template.format(*(part.text for part in parts))
    return Sql(text, tuple(value for part in parts for value in part.params))


def param(value: object, kind: str) -> Sql:
    """A value, as PostgreSQL's type of that name."""
    return Sql(f"%s::{kind}", (value,))


def all_of(parts: Iterable[Sql]) -> Sql:
    """Every piece holds; of no pieces that is true."""
    return _joined(" AND ", list(parts)) or TRUE


def any_of(parts: Iterable[Sql]) -> Sql:
    """One piece at least holds; of no pieces that is false."""
    return _joined(" OR ", list(parts)) or FALSE


def _joined(word: str, parts: list[Sql]) -> Sql | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return sql(f"({word.join('{}' for _ in parts)})", *parts)
