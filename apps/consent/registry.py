"""What the floors above, and other parts of this one, hang onto the preference page, and what each
of them holds about people.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.contacts.models import Contact


@dataclass(frozen=True)
class PreferenceSection:
    """A part of the preference page, below what we offer ourselves.

    `template` is included with `section`, what `read` answers, and `token`, the signed part of the
    page's own address. Its forms post to addresses of their own, which check that token again
    (`links.read_uuid(links.PREFERENCES, token)`) and lead back with `links.preferences_url()`.
    Where `read` answers None, the section is left out.
    """

    name: str
    order: int
    template: str
    read: "Callable[[Contact, datetime], dict[str, Any] | None]"


_sections: dict[str, PreferenceSection] = {}


def register_preference_section(section: PreferenceSection) -> None:
    _sections[section.name] = section


def preference_sections() -> list[PreferenceSection]:
    return sorted(_sections.values(), key=lambda section: section.order)


# --- what is held about people --------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """Whom an erasure or an export is about: a contact, and every name that ever led to it."""

    contact_id: int
    emails: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    browsers: tuple[str, ...] = ()
    full_names: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()

    # Shorter ones stand in anything by chance.
    SHORTEST = 3

    @property
    def person_keys(self) -> list[str]:
        """The names as they stand at events that wait."""
        marked = (("e:", self.emails), ("u:", self.user_ids), ("a:", self.browsers))
        keys = [f"{mark}{name}" for mark, names in marked for name in names]
        return [*keys, f"c:{self.contact_id}"]

    @property
    def words(self) -> list[str]:
        """The names as they may stand within some text, in lower case."""
        names = (
            *self.emails,
            *self.user_ids,
            *self.browsers,
            *self.full_names,
            *self.phones,
        )
        return [name.lower() for name in names if len(name) >= self.SHORTEST]


class NotYet(Exception):
    """Something is in use right now; it can be erased in a moment."""


class Fate(StrEnum):
    """What becomes of a field when its person is erased."""

    ERASED = "erased"
    HASHED = "stays as a keyed hash"
    IMPERSONAL = "says nothing about a person"


@dataclass(frozen=True)
class Table:
    """One kind of data in an export; `rows` may be long and is read once, row by row."""

    name: str
    label: str
    rows: Callable[[Subject, datetime], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class Holding:
    """What an app holds about people, how it lets go of it, and how it tells them.

    `fates` declares each field that could hold something personal, by model and fate, as in
    {"events.Event": {Fate.ERASED: "properties context"}}. `stop` runs at once, in one transaction
    with the others: from then on nothing is done with the person. `erase` takes up to `limit` rows
    and answers how many; it is called until there are none left, maybe again after a crash, and
    raises NotYet where it has to wait for somebody.
    """

    name: str
    label: str
    order: int
    fates: Mapping[str, Mapping[Fate, str]]
    erase: Callable[[Subject, datetime, int], int]
    stop: Callable[[Subject, datetime], None] | None = None
    tables: tuple[Table, ...] = ()


_holdings: dict[str, Holding] = {}


def register_holding(holding: Holding) -> None:
    _holdings[holding.name] = holding


def holdings() -> list[Holding]:
    """All holdings, in the order in which they are erased."""
    return sorted(_holdings.values(), key=lambda holding: holding.order)


# --- what goes with time --------------------------------------------------------------------------


@dataclass(frozen=True)
class Store:
    """One kind of data that is kept for some days; `keep_days` is where it starts, None for ever.

    `count` says how much is older than a moment. `drop` gets that moment, the present one and a
    limit, takes away up to so many and answers how many those were; it is called until there are
    none left, and raises NotYet where something is in use.
    """

    key: str
    name: str
    note: str
    keep_days: int | None
    count: Callable[[datetime], int]
    drop: Callable[[datetime, datetime, int], int]
    # What goes sooner would be missed: by a retry, by somebody who identifies, by a download.
    least_days: int = 1
    has_to_end: bool = False


_stores: dict[str, Store] = {}


def register_store(store: Store) -> None:
    _stores[store.key] = store


def stores() -> dict[str, Store]:
    return dict(sorted(_stores.items()))
