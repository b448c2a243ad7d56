"""Contacts as a table: whoever is listed, in the columns that were chosen, in flat memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db.models import QuerySet

from apps.contacts import resources, tables
from apps.contacts.models import Contact
from apps.contacts.resources import ContactResource
from apps.core.viewing import lifted

CHUNK = 1000

# By the end of a file's name: its media type, and who writes it.
FORMATS: dict[str, tuple[str, Callable[[tables.Rows], Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", tables.write_csv),
    "xlsx": (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        tables.write_xlsx,
    ),
}


class CantExport(Exception):
    """Nothing that can be written was asked for; the text says why."""


def write(*, people: QuerySet[Contact], keys: Sequence[str], file_format: str) -> Iterator[bytes]:
    """The file, piece by piece; raise CantExport before the first one."""
    known = {column.key for _, columns in resources.groups(is_export=True) for column in columns}
    chosen = [key for key in dict.fromkeys(keys) if key in known]
    if not chosen:
        raise CantExport("Choose at least one column.")
    if file_format not in FORMATS:
        raise CantExport("Choose CSV or XLSX.")
    if file_format == "xlsx" and people.count() >= tables.MAX_ROWS:
        raise CantExport(f"A workbook has at most {tables.MAX_ROWS:,} rows; choose CSV.")
    return FORMATS[file_format][1](_rows(people, chosen))


def _rows(people: QuerySet[Contact], keys: Sequence[str]) -> Iterator[Sequence[Any]]:
    resource = ContactResource(keys)
    yield keys
    last = 0
    while chunk := _read(people, last):
        yield from resource.write(chunk)
        last = chunk[-1].pk


def _read(people: QuerySet[Contact], last: int) -> list[Contact]:
    """The next ones; a list may be longer than what one query should hold."""
    with lifted():
        return list(people.filter(pk__gt=last).order_by("pk")[:CHUNK])
