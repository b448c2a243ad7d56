"""The timeline of one contact: what several tables know, in one order, page by page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.db.models import Q

from apps.contacts import registry
from apps.contacts.models import Contact, MergeLog
from apps.contacts.registry import Entry, TimelineSource
from apps.core.clock import BadInstant, parse_instant

PAGE = 25


class BadPosition(ValueError):
    """The text names no place in a timeline."""


@dataclass(frozen=True)
class Position:
    """A place in a timeline: when, in which source, which row. Older means smaller."""

    at: datetime
    order: int
    pk: int

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.order}~{self.pk}"

    @classmethod
    def read(cls, text: str) -> "Position":
        """Read what str() wrote, or raise BadPosition."""
        try:
            at, order, pk = text.split("~")
            return cls(parse_instant(at), int(order), int(pk))
        except (BadInstant, ValueError) as problem:
            raise BadPosition(f"{text!r} is no place in a timeline.") from problem

    def older(self, source: TimelineSource) -> Q:
        """What of a source comes after this place, reading from new to old."""
        reach = Q(**{f"{source.at}__lte": self.at})
        is_before = Q(**{f"{source.at}__lt": self.at})
        if source.order < self.order:
            return is_before
        if source.order > self.order:
            return reach
        return reach & (is_before | Q(pk__lt=self.pk))


@dataclass(frozen=True)
class Line:
    """One entry at its place."""

    at: datetime
    source: TimelineSource
    entry: Entry


@dataclass(frozen=True)
class Timeline:
    """A page, newest first; `older` is where the next one begins, if there is one."""

    lines: list[Line]
    older: Position | None


def get_timeline(
    contact: Contact,
    *,
    before: Position | None = None,
    only: str = "",
    may: Callable[[str], bool] = lambda permission: True,
    limit: int = PAGE,
) -> Timeline:
    """Read one page; two queries a source at most, however long the history is."""
    sources = [
        source
        for source in registry.timeline_sources()
        if may(source.permission) and only in ("", source.name)
    ]
    found: list[tuple[Position, TimelineSource, Any]] = []
    for source in sources:
        rows = source.rows(contact)
        if before is not None:
            rows = rows.filter(before.older(source))
        read_at = attrgetter(source.at)
        found += [
            (Position(read_at(row), source.order, row.pk), source, row)
            for row in rows.order_by(f"-{source.at}", "-pk")[: limit + 1]
        ]
    # At the same instant the source of a lower order stands first, so it is the newer one.
    found.sort(key=lambda one: (one[0].at, -one[0].order, one[0].pk), reverse=True)
    page = found[:limit]
    older = page[-1][0] if len(found) > limit else None
    return Timeline(_tell(page), older)


def _tell(page: list[tuple[Position, TimelineSource, Any]]) -> list[Line]:
    """Put the rows of a page into words, source by source, and back into their order."""
    rows: dict[str, list[Any]] = {}
    for _, source, row in page:
        rows.setdefault(source.name, []).append(row)
    told = {
        source.name: iter(source.tell(rows[source.name]))
        for source in registry.timeline_sources()
        if source.name in rows
    }
    return [Line(place.at, source, next(told[source.name])) for place, source, _ in page]


# --- merges -------------------------------------------------------------------------------------

MAX_MERGES = 5


def find_survivor(object_id: str) -> Contact | None:
    """Who a contact is by now, if it was merged."""
    if not object_id.isdecimal():
        return None
    return Contact.objects.filter(merged_contacts=int(object_id)).first()


def merges_of(contact: Contact) -> list[MergeLog]:
    """The newest merges that made a contact what it is."""
    rows = contact.merges.filter(undone_at=None).defer("before", "after")
    return list(rows.order_by("-merged_at")[:MAX_MERGES])
