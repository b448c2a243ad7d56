"""A person's data as a ZIP (GDPR Art. 15 and 20): for machines as JSON and CSV, for people as HTML.

Rows are read and written one by one, so that a person with 200,000 events takes no more memory than
one with ten.
"""

import csv
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from django.db import connection, transaction
from django.template.loader import render_to_string

from apps.consent import services
from apps.consent.directory import subject_of
from apps.consent.registry import Table, holdings
from apps.contacts.models import Contact
from apps.core.signals import personal_data_accessed

# So many rows of each kind stand in the page for people; all are in the files.
SHOWN = 100
# A file that isn't whole yet, or whose writer died.
PART = ".part"
# What a spreadsheet would take for a formula (OWASP, CSV Injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"


Rows = Callable[[], Iterable[Mapping[str, Any]]]


class Busy(Exception):
    """Somebody else is writing this person's copy."""


def write(*, contact: Contact, path: Path, by: str, now: datetime) -> dict[str, int]:
    """Write the ZIP, readable by its owner only; answer how many rows of each kind it has.

    Everything is of one moment, whatever happens meanwhile. The file is there once it is whole.
    Raises Busy.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp() opens it for its owner only.
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=PART, dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            counts = _write_once(file, contact, by, now)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return counts


def _write_once(file: IO[bytes], contact: Contact, by: str, now: datetime) -> dict[str, int]:
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            if is_outermost:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute(_TRY_LOCK, [f"consent.export:{contact.pk}"])
            if not cursor.fetchone()[0]:
                raise Busy("A copy of this person’s data is being written right now.")
        counts = _write(file, contact, now)
        personal_data_accessed.send(
            sender=Contact,
            user=None,
            kind="export",
            what=f"everything, by {by}",
            contact_ids=[contact.pk],
            count=1,
            path="",
            now=now,
        )
    return counts


def _write(file: IO[bytes], contact: Contact, now: datetime) -> dict[str, int]:
    subject = subject_of(contact)
    faults = services.verify_chain(contact)
    counts: dict[str, int] = {}
    parts = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for table in tables():
            rows = partial(table.rows, subject, now)
            head = _write_json(archive, table, rows, counts)
            _write_csv(archive, table, rows)
            parts.append({"table": table, "count": counts[table.name], "rows": head})
        ledger = {"is_whole": not faults, "faults": faults, "checked_at": now.isoformat()}
        archive.writestr("consents_verification.json", json.dumps(ledger, indent=2))
        page = {"parts": parts, "ledger": ledger, "now": now, "shown": SHOWN}
        archive.writestr("summary.html", render_to_string("privacy/summary.html", page))
    return counts


def tables() -> list[Table]:
    """All kinds of data: who somebody is and what they allow first."""
    ordered = sorted(holdings(), key=lambda holding: -holding.order)
    return [table for holding in ordered for table in holding.tables]


def _write_json(
    archive: zipfile.ZipFile, table: Table, rows: Rows, counts: dict[str, int]
) -> list[dict[str, str]]:
    """Write the rows as one list; answer the first ones in words."""
    head: list[dict[str, str]] = []
    count = 0
    with archive.open(f"{table.name}.json", "w") as member:
        member.write(b"[")
        for row in rows():
            member.write(b",\n" if count else b"\n")
            member.write(json.dumps(row, default=str, ensure_ascii=False).encode())
            count += 1
            if len(head) < SHOWN:
                head.append({name: _in_words(value) for name, value in row.items()})
        member.write(b"\n]\n")
    counts[table.name] = count
    return head


def _write_csv(archive: zipfile.ZipFile, table: Table, rows: Rows) -> None:
    with archive.open(f"{table.name}.csv", "w") as member:
        for line in _csv_lines(rows()):
            member.write(line.encode())


def _csv_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    names: list[str] = []
    for row in rows:
        if not names:
            names = list(row)
            writer.writerow(names)
        writer.writerow([_cell(row.get(name)) for name in names])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: object) -> str:
    text = _in_words(value)
    return f"'{text}" if text.startswith(FORMULA) and isinstance(value, str) else text


def _in_words(value: object) -> str:
    if value is None or value in ({}, []):
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Mapping | list):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
