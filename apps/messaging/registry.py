"""Checks that the floors above add to the gate, and the words for their reasons."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.messaging.models import Message


@dataclass(frozen=True)
class Verdict:
    """One check's answer for one message: may it go, why not, and what was looked at.

    A refusal that is not `is_final` holds the message back instead of skipping it: until
    `hold_until`, or where that is open, for a moment.
    """

    is_allowed: bool
    reason: str = ""
    values: dict[str, Any] | None = None
    is_final: bool = True
    hold_until: datetime | None = None


@dataclass(frozen=True)
class GateCheck:
    """A named question asked of a batch of messages at the point of no return."""

    name: str
    order: int
    ask: "Callable[[list[Message], datetime], dict[int, Verdict]]"


@dataclass(frozen=True)
class Origin:
    """Who asked for a message, as its page tells it."""

    label: str
    url: str


_checks: dict[str, GateCheck] = {}
_words: dict[str, str] = {}
_origins: "dict[str, Callable[[Message], Origin | None]]" = {}


def register_check(check: GateCheck) -> None:
    _checks[check.name] = check


def checks() -> list[GateCheck]:
    return sorted(_checks.values(), key=lambda check: check.order)


def register_words(words: dict[str, str]) -> None:
    """Say in words what reasons mean, and what a check asks for (as `check:<name>`)."""
    _words.update(words)


def words() -> dict[str, str]:
    return _words


def register_origin(origin_type: str, find: "Callable[[Message], Origin | None]") -> None:
    """Say who asked for the messages of this origin type."""
    _origins[origin_type] = find


def find_origin(message: "Message") -> Origin | None:
    """Who asked for this message; None where nobody says or it is gone."""
    find = _origins.get(message.origin_type)
    return find(message) if find else None
