"""Who is looking: what staff may not see is hidden as rows are read, and what they see is noted.

While a page of the admin is made, every row about a person passes `Viewing.see()`. So a page that
somebody adds tomorrow is covered too.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.core.models import Personal

MASK = "•••"
# What makes a page of more people than that says itself how many they are.
MAX_NOTED = 10_000
# The permission to see names, addresses, IDs and what people did.
SEE_PEOPLE = "contacts.view_personal_data"

# What decisions call things by that are ours, not the person's.
OUR_WORDS = frozenset(
    {
        "basis", "cart", "check", "condition", "event", "jurisdiction", "method", "purpose",
        "reason", "status", "template", "workflow",
    }
)  # fmt: skip
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d(?:T|$)")


@dataclass
class Viewing:
    """One page in the making: whether people are masked on it, and whom it has read."""

    is_masked: bool
    contact_ids: set[int] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def see(self, row: "Personal") -> None:
        """Hide what a row says about its person, or note whose it is."""
        shown = [name for name in row.personal_fields if row.__dict__.get(name)]
        if self.is_masked:
            judged = [name for name in row.judged_fields if row.__dict__.get(name)]
            row.is_masked = bool(shown or judged)
            row.__dict__.update({name: hide(row.__dict__[name]) for name in shown})
            row.__dict__.update({name: hide_judged(row.__dict__[name]) for name in judged})
            return
        if not shown:
            return
        self.kinds.add(str(row._meta.verbose_name))
        if row.person_id is not None and len(self.contact_ids) < MAX_NOTED:
            self.contact_ids.add(row.person_id)


_viewing: ContextVar[Viewing | None] = ContextVar("viewing", default=None)


def current() -> Viewing | None:
    return _viewing.get()


def is_masked() -> bool:
    """Whether personal data is hidden from whoever looks now."""
    viewing = _viewing.get()
    return viewing is not None and viewing.is_masked


@contextmanager
def viewed_by(viewing: Viewing | None) -> Iterator[None]:
    token = _viewing.set(viewing)
    try:
        yield
    finally:
        _viewing.reset(token)


def lifted() -> Any:
    """For a calculation that needs whole rows, and shows none of them."""
    return viewed_by(None)


def hide_judged(value: Any, name: str = "") -> Any:
    """What a decision was judged on, without what people have told: numbers and times stay."""
    if isinstance(value, dict):
        return {key: hide_judged(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [hide_judged(one, name) for one in value]
    is_told = isinstance(value, str) and name not in OUR_WORDS and not _INSTANT.match(value)
    return MASK if value and is_told else value


def hide(value: Any) -> Any:
    """The same value with nothing to be read in it: lists and objects keep their shape."""
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, dict):
        return {name: hide(one) for name, one in value.items()}
    if isinstance(value, list):
        return [hide(one) for one in value]
    return MASK
