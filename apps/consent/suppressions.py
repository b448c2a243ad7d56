"""Lists of addresses from other systems that must never be written to."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import BinaryIO

from apps.consent import services
from apps.consent.models import Suppression
from apps.contacts.services import normalize_email

COLUMNS = {"email", "e-mail", "email address", "address"}
BATCH = 1000
MAX_FIELD = 10_000


class BadList(Exception):
    """The file is no list of addresses."""


@dataclass
class Report:
    """What came of a list."""

    added: int = 0
    known: int = 0
    bad: int = 0


def import_list(file: BinaryIO, *, now: datetime) -> Report:
    """Keep every address of a CSV file silent, however long it is; raise BadList."""
    report = Report()
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        cells = _cells(text)
        while batch := [normalize_email(cell) for cell in islice(cells, BATCH)]:
            emails = {email for email in batch if email}
            report.bad += batch.count(None)
            added = services.suppress(emails=emails, reason=Suppression.Reason.IMPORTED, now=now)
            report.added += added
            report.known += len(emails) - added
    except UnicodeError as problem:
        raise BadList("The file is not UTF-8 text.") from problem
    except csv.Error as problem:
        raise BadList(f"The file is no CSV: {problem}.") from problem
    finally:
        text.detach()
    return report


def _cells(text: io.TextIOWrapper) -> Iterator[str]:
    """The column of addresses; a first row that names it holds none."""
    rows = csv.reader(text)
    first = next(rows, None)
    if first is None:
        raise BadList("The file is empty.")
    names = [cell.strip().lower() for cell in first]
    found = next((place for place, name in enumerate(names) if name in COLUMNS), None)
    place = found or 0
    for row in rows if found is not None else chain([first], rows):
        if row:
            yield row[place][:MAX_FIELD] if place < len(row) else ""
