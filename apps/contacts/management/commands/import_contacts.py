"""`manage.py import_contacts FILE`: contacts from a file, the way the admin takes them in."""

import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.contacts import files, importing, resources, tables, uploads
from apps.contacts.models import ImportJob
from apps.core.signals import personal_data_accessed

PIECE = 2**20
MAX_SHOWN = 20

HELP = """
Take contacts in from a CSV or XLSX file whose first row names the columns.

  manage.py import_contacts people.csv --map email=Mail --map favorite_tea=Tea \\
      --map consent:email_marketing=Newsletter --set consent_source="old shop" \\
      --refused refused.csv --dry-run

Columns are matched by their names; --map FIELD=COLUMN says it where that isn't enough, and
--leave-out COLUMN keeps one out. People are found by user ID, then by address; an empty cell
changes nothing. Fields: email, user_id, first_name, last_name, name, phone, country, locale,
time_zone, the keys of your own fields, attribute:… for any other text, consent:… for a purpose
or topic (with consent_date, consent_source and consent_wording). --dry-run only looks.
"""


class Command(BaseCommand):
    help = HELP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("file", help="The CSV or XLSX file.")
        parser.add_argument(
            "--map", action="append", default=[], metavar="FIELD=COLUMN", help="May be repeated."
        )
        parser.add_argument(
            "--leave-out", action="append", default=[], metavar="COLUMN", help="May be repeated."
        )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help="The same for all rows; may be repeated.",
        )
        parser.add_argument("--encoding", choices=list(files.ENCODINGS), help="If it isn't found.")
        parser.add_argument("--delimiter", help="What divides the columns, if it isn't found.")
        parser.add_argument("--refused", metavar="FILE", help="Write the refused rows here.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would happen.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            job = self._take_in(Path(options["file"]))
            try:
                self._work_through(job, options)
            finally:
                uploads.close(job=job, now=timezone.now())
        except (files.BadFile, resources.BadMapping, uploads.NotNow) as problem:
            raise CommandError(str(problem)) from problem
        except OSError as problem:
            raise CommandError(f"{problem.filename}: {problem.strerror}.") from problem

    def _take_in(self, path: Path) -> ImportJob:
        with path.open("rb") as file:
            pieces = iter(lambda: file.read(PIECE), b"")
            return uploads.take_in(
                file_name=path.name, chunks=pieces, by="a command", now=timezone.now()
            )

    def _work_through(self, job: ImportJob, options: dict[str, Any]) -> None:
        if options["encoding"] or options["delimiter"]:
            delimiter = {"tab": "\t", "\\t": "\t"}.get(options["delimiter"], options["delimiter"])
            encoding = options["encoding"] or job.encoding
            delimiter = delimiter or job.delimiter
            job = uploads.reshape(job=job, encoding=encoding, delimiter=delimiter)
        mapping = _mapping(job, _read_pairs("--map", options["map"]), options["leave_out"])
        self._say_mapping(job, mapping)
        constants = _read_pairs("--set", options["set"])
        job = uploads.check(job=job, mapping=mapping, constants=constants)
        job = self._wait(job)
        if not options["dry_run"]:
            job = uploads.run(job=job)
            personal_data_accessed.send(
                sender=ImportJob,
                user=None,
                kind="change",
                what="import of contacts",
                contact_ids=[],
                count=job.row_count,
                path="",
                now=timezone.now(),
            )
            job = self._wait(job)
        self._tell(job, is_dry=options["dry_run"])
        if options["refused"]:
            with Path(options["refused"]).open("wb") as file:
                file.writelines(tables.write_csv(importing.refused_cells(job)))

    def _say_mapping(self, job: ImportJob, mapping: Iterable[str]) -> None:
        for column, key in zip(job.columns, mapping, strict=True):
            self.stdout.write(f"  {column}: {key or 'left out'}")

    def _wait(self, job: ImportJob) -> ImportJob:
        """Work it through, beside workers that may have a batch of it in hand."""
        tenth = 0
        while job.is_at_work:
            if not importing.step(now=timezone.now()):
                time.sleep(0.1)
            job.refresh_from_db()
            done = 10 * job.done_count // max(job.row_count or 1, 1)
            if done > tenth and (job.row_count or 0) > importing.BATCH:
                tenth = done
                self.stdout.write(f"{job.get_status_display()}: {job.done_count:,} rows")
        if job.status == ImportJob.Status.FAILED:
            raise files.BadFile(job.problem)
        return job

    def _tell(self, job: ImportJob, *, is_dry: bool) -> None:
        would = "would be " if is_dry else ""
        self.stdout.write(
            f"{job.row_count:,} rows: {job.created_count:,} {would}added, {job.updated_count:,} "
            f"{would}changed, {job.unchanged_count:,} as they are, {job.refused_count:,} refused."
        )
        for note, count in job.notes.items():
            self.stdout.write(f"  {note}: {count:,}")
        refused = job.rows.filter(outcome="refused").order_by("number")
        for number, reason in refused.values_list("number", "reason")[:MAX_SHOWN]:
            self.stdout.write(f"  row {number}: {reason}")


def _mapping(job: ImportJob, told: dict[str, str], left_out: list[str]) -> list[str]:
    for column in [*told.values(), *left_out]:
        if job.columns.count(column) != 1:
            names = ", ".join(job.columns)
            raise resources.BadMapping(f"There is no one column “{column}”; the file has {names}.")
    by_column = {column: key for key, column in told.items()}
    return list(_merged(job, by_column, set(left_out)))


def _merged(job: ImportJob, by_column: dict[str, str], left_out: set[str]) -> Iterator[str]:
    """What was said counts; a guess stands where it doesn't contradict it."""
    for column, guess in zip(job.columns, job.mapping, strict=True):
        is_free = column not in left_out and guess not in by_column.values()
        yield by_column.get(column, guess if is_free else "")


def _read_pairs(option: str, pairs: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name or name in found:
            raise resources.BadMapping(f"{option} {pair}: write it as NAME=VALUE, once.")
        found[name] = value
    return found
