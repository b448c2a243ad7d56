"""Rows of a file become contacts: in batches, each in one transaction with how far the file is.

A row is judged as a whole and changes nothing where it is refused. Nobody is ever merged: a row
that names two contacts, or one person a second time, is refused.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DatabaseError, transaction

from apps.contacts import fields, files, identification, resources, tables, traits, uploads
from apps.contacts.directory import Claim, Directory, Mode, Name, by_email, by_user_id, names_of
from apps.contacts.models import Contact, Identity, ImportedName, ImportJob, ImportRow
from apps.contacts.registry import BadCell
from apps.contacts.resources import ContactResource, Draft
from apps.core.hashing import keyed_hash

BATCH = 250
# So many rows of a file are kept to be looked at before it is taken in.
PREVIEWED = 10
# The database may give up on a batch that got in another's way; then the next turn takes it.
MAX_FAILURES = 5
FILE_IS_GONE = "The file is not there any more; upload it again."

Outcome = ImportRow.Outcome
Status = ImportJob.Status


@dataclass
class Line:
    """One row on its way: what it tells, whom it is about, and what becomes of it."""

    number: int
    cells: list[str]
    draft: Draft = field(default_factory=Draft)
    claim: Claim | None = None
    keys: list[str] = field(default_factory=list)
    outcome: str = ""
    reason: str = ""

    def refuse(self, reason: str) -> None:
        self.outcome, self.reason = Outcome.REFUSED, f"{reason[:1].upper()}{reason[1:]}."[:300]


def work(*, clock: Callable[[], datetime], seconds: float) -> bool:
    """Go on with what there is for about so long; answer whether something is left."""
    deadline = time.monotonic() + seconds
    while step(now=clock()):
        if time.monotonic() >= deadline:
            return True
    return False


def step(*, now: datetime) -> bool:
    """Work through one batch of the oldest file that nobody else has in hand."""
    with transaction.atomic():
        rows = ImportJob.objects.at_work().order_by("id").select_for_update(skip_locked=True)
        job = rows.first()
        if job is None:
            return False
        try:
            with transaction.atomic():
                _go_on(job, now)
        except (files.BadFile, resources.BadMapping) as problem:
            uploads.fail(job=job, problem=str(problem), now=now)
        except OSError:
            uploads.fail(job=job, problem=FILE_IS_GONE, now=now)
        except DatabaseError:
            _count_failure(job, now)
        return True


def _count_failure(job: ImportJob, now: datetime) -> None:
    """The next turn tries again, some times."""
    job = ImportJob.objects.get(pk=job.pk)
    job.failure_count += 1
    job.save(update_fields=["failure_count"])
    if job.failure_count >= MAX_FAILURES:
        problem = f"The database gave up {MAX_FAILURES} times near row {job.done_count + 2:,}."
        uploads.fail(job=job, problem=problem, now=now)


def _go_on(job: ImportJob, now: datetime) -> None:
    if job.row_count is None:
        uploads.unpack(job)
        return
    resources.check_mapping(job.mapping, job.constants)
    rows, offset = files.read_lines(uploads.rows_path(job), job.offset, BATCH)
    if rows:
        _take(job, rows, now)
        job.offset = offset
        job.done_count += len(rows)
        job.failure_count = 0
        job.save()
    if len(rows) < BATCH:
        uploads.finish(job=job, now=now)


def _take(job: ImportJob, rows: list[files.Row], now: datetime) -> None:
    """Judge the rows of a batch and, once the file is taken in, make contacts of them."""
    is_real = job.status == Status.RUNNING
    lines = [Line(number, cells) for number, cells in rows]
    _read(job, lines, now)
    judged = [line for line in lines if line.claim]
    if is_real:
        identification.lock_names(
            name for line in judged if line.claim for name in names_of(line.claim)
        )
    _find_people(judged)
    _refuse_doubles(job, judged)
    good = [line for line in judged if line.outcome != Outcome.REFUSED]
    if is_real:
        job.notes = Counter(job.notes) + _write(job, good, now)
    _keep(job, lines, is_real)


# --- judging --------------------------------------------------------------------------------------


def _read(job: ImportJob, lines: list[Line], now: datetime) -> None:
    resource = ContactResource([*job.mapping, *job.constants])
    for line in lines:
        try:
            resources.check_text(line.cells)
            line.draft = resource.read(_row_of(job, line.cells), now)
        except BadCell as problem:
            line.refuse(str(problem))
            continue
        values = line.draft.values
        line.claim = Claim(
            Mode.IDENTIFY,
            True,
            user_id=values.get("user_id"),
            email=values.get("email"),
            traits=line.draft.traits,
        )


def _row_of(job: ImportJob, cells: Sequence[str]) -> dict[str, str]:
    """The cells by what they tell; raise BadCell where there are more than columns."""
    if any(cell.strip() for cell in cells[len(job.columns) :]):
        raise BadCell("more cells than columns")
    row = {**dict.fromkeys(filter(None, job.mapping), ""), **job.constants}
    for key, cell in zip(job.mapping, cells, strict=False):
        if key:
            row[key] = tables.unguarded(cell) if job.format == files.CSV else cell
    return row


def _find_people(lines: list[Line]) -> None:
    """Whom each row is about as things stand, and what it would change."""
    claims = [line.claim for line in lines if line.claim]
    directory = Directory(claims)
    found: dict[int, int | None] = {}
    for line, claim in zip(lines, claims, strict=True):
        if reason := _conflict(claim, directory):
            line.refuse(reason)
            continue
        found[line.number] = directory.find(claim)
    people = Contact.objects.in_bulk({pk for pk in found.values() if pk})
    declared = fields.declared()
    for line, claim in zip(lines, claims, strict=True):
        if line.number in found:
            contact = people.get(found[line.number] or 0)
            line.outcome = _outcome(claim, contact, declared)
            names = names_of(claim)
            names += [("contact", str(contact.pk))] if contact else []
            line.keys = [keyed_hash(f"{kind}:{value}") for kind, value in names]


def _conflict(claim: Claim, directory: Directory) -> str:
    """Why a row can't be about one person; what only a browser has said of an address yields."""
    named, owner = by_user_id(claim, directory.people), by_email(claim, directory.people)
    address: Name = (Identity.Kind.EMAIL.value, claim.email or "")
    if owner is None or not claim.user_id or address in directory.unproven:
        return ""
    if named and named is not owner:
        return "the user ID belongs to one contact and the address to another"
    if named is None and owner.external_id:
        return "the address belongs to a contact with another user ID"
    return ""


def _outcome(claim: Claim, contact: Contact | None, declared: Mapping[str, Any]) -> str:
    if contact is None:
        return Outcome.CREATED
    reading = traits.read(claim.traits or {}, declared)
    told = {**reading.columns}
    if claim.email:
        told["email"] = claim.email
    if claim.user_id and not contact.external_id:
        told["external_id"] = claim.user_id
    is_changed = any(getattr(contact, name) != value for name, value in told.items()) or any(
        name not in contact.attributes or contact.attributes[name] != value
        for name, value in reading.attributes.items()
    )
    return Outcome.UPDATED if is_changed else Outcome.UNCHANGED


def _refuse_doubles(job: ImportJob, lines: list[Line]) -> None:
    """Two rows about one person would undo each other: the first one counts."""
    keys = {key for line in lines for key in line.keys}
    rows = ImportedName.objects.filter(job=job, name_hash__in=keys)
    seen = dict(rows.values_list("name_hash", "number"))
    fresh = []
    for line in lines:
        if line.outcome == Outcome.REFUSED:
            continue
        earlier = min((seen[key] for key in line.keys if key in seen), default=None)
        if earlier is not None:
            line.refuse(f"row {earlier:,} is about the same person")
            continue
        seen |= dict.fromkeys(line.keys, line.number)
        fresh += [
            ImportedName(job=job, name_hash=key, number=line.number) for key in set(line.keys)
        ]
    ImportedName.objects.bulk_create(fresh)


# --- writing --------------------------------------------------------------------------------------


def _write(job: ImportJob, lines: list[Line], now: datetime) -> Counter[str]:
    claims = [line.claim for line in lines if line.claim]
    answers = identification.resolve(claims=claims, now=now)
    notes: Counter[str] = Counter()
    about = []
    for line, answer in zip(lines, answers, strict=True):
        notes.update(answer.notes)
        if answer.contact_id is not None:
            about.append((answer.contact_id, line))
    for one in resources.column_sets():
        told = [
            (contact_id, line.draft.told[one.name])
            for contact_id, line in about
            if one.name in line.draft.told
        ]
        if told:
            notes.update(one.write(told, f"import of {job.file_name}", now))
    return notes


def _keep(job: ImportJob, lines: list[Line], is_real: bool) -> None:
    """Count the rows, and keep those that staff will want to see."""
    counts = Counter(line.outcome for line in lines)
    job.created_count += counts[Outcome.CREATED]
    job.updated_count += counts[Outcome.UPDATED]
    job.unchanged_count += counts[Outcome.UNCHANGED]
    job.refused_count += counts[Outcome.REFUSED]
    is_first = job.done_count == 0 and not is_real
    shown = {line.number for line in lines[:PREVIEWED]} if is_first else set()
    ImportRow.objects.bulk_create(
        ImportRow(
            job=job,
            number=line.number,
            outcome=line.outcome,
            reason=line.reason,
            cells=[_storable(cell) for cell in line.cells[: files.MAX_COLUMNS]],
        )
        for line in lines
        if line.outcome == Outcome.REFUSED or line.number in shown
    )


def _storable(cell: str) -> str:
    """As much of a cell as a report needs, without what the database can't hold."""
    text = cell[: resources.MAX_CELL].replace("\x00", "")
    return text.encode("utf-8", "replace").decode()


def refused_cells(job: ImportJob) -> Iterator[list[Any]]:
    """The refused rows as a table: number, reason and the row as it came."""
    yield ["row", "reason", *job.columns]
    rows = job.rows.filter(outcome=Outcome.REFUSED).order_by("number")
    for row in rows.iterator(1000):
        yield [row.number, row.reason, *row.cells]
