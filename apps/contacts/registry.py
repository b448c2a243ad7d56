"""What the floors above add to a contact's page: its timeline, its panels, its actions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

if TYPE_CHECKING:
    from apps.contacts.models import Contact


@dataclass(frozen=True)
class Entry:
    """One thing that happened, in plain words; `values` are shown on demand."""

    title: str
    note: str = ""
    icon: str = "circle"
    tone: str = "neutral"
    url: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TimelineSource:
    """A table that the timeline reads.

    `rows` selects what belongs to one contact, `at` names the column that orders it, and `tell`
    puts a page of rows into words, each in its place.
    """

    name: str
    label: str
    order: int
    permission: str
    rows: "Callable[[Contact], QuerySet[Any]]"
    at: str
    tell: Callable[[Sequence[Any]], list[Entry]]


@dataclass(frozen=True)
class Panel:
    """A card beside the timeline: a template and what it shows."""

    name: str
    order: int
    permission: str
    template: str
    read: "Callable[[Contact, datetime], dict[str, Any]]"


@dataclass(frozen=True)
class Action:
    """Something that staff may do with contacts, on the list and on the page.

    `question` is asked before; `run` gets the contacts, the time and who of staff does it, and says
    what it did and to how many.
    """

    name: str
    label: str
    icon: str
    question: str
    permission: str
    run: "Callable[[Sequence[Contact], datetime, str], str]"
    applies: "Callable[[Contact], bool]" = lambda contact: True
    is_danger: bool = False


@dataclass(frozen=True)
class Link:
    """A way from a contact's page to a page of an upper floor."""

    name: str
    label: str
    icon: str
    order: int
    permission: str
    url: "Callable[[Contact], str]"


_sources: dict[str, TimelineSource] = {}
_panels: dict[str, Panel] = {}
_actions: dict[str, Action] = {}
_links: dict[str, Link] = {}


def register_timeline(source: TimelineSource) -> None:
    _sources[source.name] = source


def register_panel(panel: Panel) -> None:
    _panels[panel.name] = panel


def register_action(action: Action) -> None:
    _actions[action.name] = action


def register_link(link: Link) -> None:
    _links[link.name] = link


def timeline_sources() -> list[TimelineSource]:
    """All sources, in the order that settles which of two at the same time stands first."""
    return sorted(_sources.values(), key=lambda source: source.order)


def panels() -> list[Panel]:
    return sorted(_panels.values(), key=lambda panel: panel.order)


def actions() -> dict[str, Action]:
    return dict(_actions)


def links() -> list[Link]:
    return sorted(_links.values(), key=lambda link: link.order)


# --- what a merge moves ---------------------------------------------------------------------------


class NotNow(Exception):
    """Something is in use right now; in a moment the two can be merged."""


@dataclass
class Merge:
    """Two contacts on their way to one, or back; `merged_at` tells what the merge itself has done.

    `renamed` are keys of carts that go by another one then. The floors go in order, so that carts
    have their new keys before what is about them moves.
    """

    survivor_id: int
    merged_id: int
    now: datetime
    merged_at: datetime
    renamed: dict[str, str] = field(default_factory=dict)


@dataclass
class Moved:
    """What a merge did to one table: the rows that have a new owner, and what it takes to undo the
    rest.
    """

    row_ids: list[int] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Belonging:
    """A table whose rows are a contact's, and what a merge does to them.

    Without `merge` all of them move; `merge` and `undo` are for tables that need more. Where the
    rows stay, `stays` says why. `label` names them on pages; without it nobody is told. There they
    are counted, or `tell` puts them into words, and `note` says what becomes of them.
    """

    model: str
    order: int
    label: str = ""
    field: str = "contact"
    merge: Callable[[Merge], Moved] | None = None
    undo: Callable[[Merge, Moved], None] | None = None
    stays: str = ""
    tell: Callable[[int], str] | None = None
    note: str = ""

    @property
    def name(self) -> str:
        return self.model if self.field == "contact" else f"{self.model}.{self.field}"


@dataclass(frozen=True)
class MergeLock:
    """What has to stand still before two contacts are merged, or one is erased (then it is both):
    takes locks, or raises NotNow.
    """

    name: str
    order: int
    take: Callable[[Merge], None]


_belongings: dict[str, Belonging] = {}
_merge_locks: dict[str, MergeLock] = {}


def register_belonging(belonging: Belonging) -> None:
    _belongings[belonging.name] = belonging


def register_merge_lock(lock: MergeLock) -> None:
    _merge_locks[lock.name] = lock


def belongings() -> list[Belonging]:
    """All tables that hold something of a contact, in the order in which a merge takes them."""
    return sorted(_belongings.values(), key=lambda one: (one.order, one.name))


def merge_locks() -> list[MergeLock]:
    """All locks, in the one order in which they are taken."""
    return sorted(_merge_locks.values(), key=lambda lock: lock.order)


# --- files of contacts ----------------------------------------------------------------------------


class BadCell(ValueError):
    """A cell that can't be used; the text says what it isn't."""


@dataclass(frozen=True)
class Column:
    """One thing that a file may tell of a contact; `names` are what files call it besides."""

    key: str
    label: str
    names: tuple[str, ...] = ()
    # Whether it may be said once, for all rows of a file.
    may_be_constant: bool = False


@dataclass(frozen=True)
class ColumnSet:
    """What a floor above keeps of contacts, as columns of the files in which they come and go.

    `read` checks the cells of a row, by the keys of their columns, and raises BadCell; its answer
    is what `write` gets together with the contact that the row is about, unless it is None. `write`
    counts in words what it did and left out. `tell` answers cells by contact and column.
    """

    name: str
    label: str
    order: int
    columns: Callable[[], list[Column]]
    read: Callable[[Mapping[str, str], datetime], Any]
    write: Callable[[Sequence[tuple[int, Any]], str, datetime], Mapping[str, int]]
    tell: Callable[[Sequence[int]], Mapping[int, Mapping[str, str]]]


_column_sets: dict[str, ColumnSet] = {}


def register_columns(columns: ColumnSet) -> None:
    _column_sets[columns.name] = columns


def column_sets() -> list[ColumnSet]:
    return sorted(_column_sets.values(), key=lambda one: one.order)
