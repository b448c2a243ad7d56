"""What staff does with a file of contacts: upload it, match its columns, check it, take it in."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction

from apps.contacts import files, resources
from apps.contacts.files import Shape
from apps.contacts.models import ImportedName, ImportJob

# So long the file, and what was refused of it, can be looked at.
KEPT_FOR = timedelta(days=7)

Status = ImportJob.Status


class NotNow(Exception):
    """It can't be done with this file as it is; the text says why."""


def take_in(*, file_name: str, chunks: Iterable[bytes], by: str, now: datetime) -> ImportJob:
    """Keep a file and look what it is; raise BadFile, and then keep nothing."""
    job = ImportJob(file_name=Path(file_name).name[:200] or "file", uploaded_by=by[:150])
    job.uploaded_at = now
    path = file_path(job)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        _save(path, chunks)
        shape = files.detect(path)
        job.columns, _ = files.read_header(path, shape)
        job.format, job.encoding, job.delimiter = shape.format, shape.encoding, shape.delimiter
        job.mapping = resources.guess(job.columns)
        job.save()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return job


def _save(path: Path, chunks: Iterable[bytes]) -> None:
    size = 0
    with path.open("xb") as file:
        path.chmod(0o600)
        for chunk in chunks:
            size += len(chunk)
            if size > files.MAX_BYTES:
                raise files.BadFile(
                    f"The file is larger than {files.MAX_BYTES // 2**20} MB; divide it."
                )
            file.write(chunk)


def shape_of(job: ImportJob) -> Shape:
    return Shape(job.format, job.encoding, job.delimiter)


def read_sample(job: ImportJob) -> list[files.Row]:
    """The first rows as they are read now; raise BadFile."""
    return files.read_header(file_path(job), shape_of(job))[1]


@transaction.atomic
def reshape(*, job: ImportJob, encoding: str, delimiter: str) -> ImportJob:
    """Read a CSV file in another way; raise BadFile where it can't be read so."""
    job = _locked(job, {Status.UPLOADED, Status.CHECKED})
    shape = Shape(job.format, encoding, delimiter)
    columns, _ = files.read_header(file_path(job), shape)
    if columns != job.columns:
        job.columns, job.mapping = columns, resources.guess(columns)
    job.encoding, job.delimiter, job.row_count = encoding, delimiter, None
    job.status = Status.UPLOADED
    job.save()
    return job


@transaction.atomic
def check(*, job: ImportJob, mapping: Sequence[str], constants: Mapping[str, str]) -> ImportJob:
    """Look through all rows, and change nothing; raise BadMapping or NotNow."""
    job = _locked(job, {Status.UPLOADED, Status.CHECKED})
    resources.check_mapping(mapping, constants)
    job.mapping, job.constants = list(mapping), dict(constants)
    return _begin(job, Status.CHECKING)


@transaction.atomic
def run(*, job: ImportJob) -> ImportJob:
    """Take the file in; raise NotNow unless it was checked."""
    return _begin(_locked(job, {Status.CHECKED}), Status.RUNNING)


@transaction.atomic
def cancel(*, job: ImportJob, now: datetime) -> ImportJob:
    """Stop, or don't begin; what was taken in already stays."""
    open_states = {Status.UPLOADED, Status.CHECKING, Status.CHECKED, Status.RUNNING}
    job = _locked(job, open_states)
    return _end(job, Status.CANCELED, now)


@transaction.atomic
def close(*, job: ImportJob, now: datetime) -> None:
    """Let go of a file that was only looked at; one that was taken in is closed already."""
    job = ImportJob.objects.select_for_update().get(pk=job.pk)
    if job.finished_at is None:
        forget(job=job, now=now)


def fail(*, job: ImportJob, problem: str, now: datetime) -> None:
    job.problem = problem[:300]
    _end(job, Status.FAILED, now)


def finish(*, job: ImportJob, now: datetime) -> None:
    """All rows were worked through."""
    if job.status == Status.RUNNING:
        _end(job, Status.DONE, now)
        return
    job.status = Status.CHECKED
    job.save()


def unpack(job: ImportJob) -> None:
    """Make lines of the whole file, once: from them on work can go on at any place."""
    job.row_count = files.convert(file_path(job), shape_of(job), rows_path(job))
    job.save()


def forget_old(*, now: datetime) -> int:
    """Let go of files that nobody took in, and of the rows that were refused; count the files."""
    old = ImportJob.objects.filter(forgotten_at=None, uploaded_at__lte=now - KEPT_FOR)
    count = 0
    for job in old.exclude(status__in=[Status.CHECKING, Status.RUNNING]).order_by("pk"):
        with transaction.atomic():
            forget(job=job, now=now)
        count += 1
    _sweep(now)
    return count


def forget(*, job: ImportJob, now: datetime) -> None:
    """Keep nothing of the file but how many rows it had; who uploaded it does it again."""
    _remove_files(job)
    job.rows.all().delete()
    ImportedName.objects.filter(job=job).delete()
    job.forgotten_at = now
    if job.finished_at is None:
        job.status, job.finished_at = Status.CANCELED, now
    job.save()


def file_path(job: ImportJob) -> Path:
    """Where the file lies as it came."""
    return _folder() / f"{job.uuid.hex}.upload"


def rows_path(job: ImportJob) -> Path:
    """Where its rows lie, line by line."""
    return file_path(job).with_suffix(".rows")


# --- inside ---------------------------------------------------------------------------------------


def _locked(job: ImportJob, states: set[Status]) -> ImportJob:
    job = ImportJob.objects.select_for_update().get(pk=job.pk)
    if job.status not in states:
        raise NotNow(f"The file is {job.get_status_display()}.")
    return job


def _begin(job: ImportJob, status: Status) -> ImportJob:
    """From the first row on, with nothing counted and nobody seen yet."""
    job.rows.all().delete()
    ImportedName.objects.filter(job=job).delete()
    job.status, job.offset, job.done_count, job.failure_count = status, 0, 0, 0
    job.created_count = job.updated_count = job.unchanged_count = job.refused_count = 0
    job.notes, job.problem = {}, ""
    job.save()
    return job


def _end(job: ImportJob, status: Status, now: datetime) -> ImportJob:
    ImportedName.objects.filter(job=job).delete()
    job.status, job.finished_at = status, now
    job.save()
    transaction.on_commit(lambda: _remove_files(job), robust=True)
    return job


def _sweep(now: datetime) -> None:
    """Remove old files that no import knows: of an upload that broke off, or another database."""
    busy = {uuid.hex for uuid in ImportJob.objects.at_work().values_list("uuid", flat=True)}
    for path in _folder().glob("*.*"):
        changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if path.stem not in busy and changed_at <= now - KEPT_FOR:
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.CUEPOST_HOME) / "imports"


def _remove_files(job: ImportJob) -> None:
    for path in (file_path(job), rows_path(job), rows_path(job).with_suffix(".part")):
        path.unlink(missing_ok=True)
