"""Checks that the floors above add to the gate."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.messaging.models import Message


@dataclass(frozen=True)
class Verdict:
    """One check's answer for one message: may it go, why not, and what was looked at.

    A refusal that is not `is_final` holds the message back for a moment instead of skipping it.
    """

    is_allowed: bool
    reason: str = ""
    values: dict[str, Any] | None = None
    is_final: bool = True


@dataclass(frozen=True)
class GateCheck:
    """A named question asked of a batch of messages at the point of no return."""

    name: str
    order: int
    ask: "Callable[[list[Message], datetime], dict[int, Verdict]]"


_checks: dict[str, GateCheck] = {}


def register_check(check: GateCheck) -> None:
    _checks[check.name] = check


def checks() -> list[GateCheck]:
    return sorted(_checks.values(), key=lambda check: check.order)
