"""Who is looking: what staff may not see is hidden as rows are read, and what they see is noted.

While a page of the admin is made, every row about a person passes `Viewing.see()`. So a page that
somebody adds tomorrow is covered too.
"""

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


@dataclass
class Viewing:
    """One page in the making: whether people are masked on it, and whom it has read."""

    is_masked: bool
    contact_ids: set[int] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def see(self, row: "Personal") -> None:
        """Hide what a row says about its person, or note whose it is."""
        shown = [name for name in row.personal_fields if row.__dict__.get(name)]
        if not shown:
            return
        if self.is_masked:
            row.is_masked = True
            for name in shown:
                row.__dict__[name] = hide(row.__dict__[name])
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


def hide(value: Any) -> Any:
    """The same value with nothing to be read in it: lists and objects keep their shape."""
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, dict):
        return {name: hide(one) for name, one in value.items()}
    if isinstance(value, list):
        return [hide(one) for one in value]
    return MASK
