"""Files of contacts, as people upload them."""

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

from openpyxl import Workbook

from apps.contacts import importing, uploads
from apps.contacts.models import ImportJob, ImportRow
from tests.instants import NOON


def xlsx(*rows: Sequence[Any]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        sheet.append(list(row))
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def upload(content: str | bytes, *, name: str = "people.csv", now: datetime = NOON) -> ImportJob:
    data = content.encode() if isinstance(content, str) else content
    return uploads.take_in(file_name=name, chunks=[data], by="ada", now=now)


def check(
    content: str | bytes,
    mapping: Sequence[str] | None = None,
    constants: dict[str, str] | None = None,
    now: datetime = NOON,
) -> ImportJob:
    job = upload(content, now=now)
    uploads.check(job=job, mapping=mapping or job.mapping, constants=constants or {})
    return work(job, now)


def take_in(
    content: str | bytes,
    mapping: Sequence[str] | None = None,
    constants: dict[str, str] | None = None,
    now: datetime = NOON,
) -> ImportJob:
    """Go the whole way of a file."""
    job = check(content, mapping, constants, now)
    if job.status == ImportJob.Status.CHECKED:
        uploads.run(job=job)
    return work(job, now)


def work(job: ImportJob, now: datetime = NOON) -> ImportJob:
    while importing.step(now=now):
        pass
    job.refresh_from_db()
    return job


def counts(job: ImportJob) -> tuple[int, int, int, int]:
    """New, changed, as they were, refused."""
    return job.created_count, job.updated_count, job.unchanged_count, job.refused_count


def refused(job: ImportJob) -> list[tuple[int, str]]:
    rows = job.rows.filter(outcome=ImportRow.Outcome.REFUSED).order_by("number")
    return list(rows.values_list("number", "reason"))
