"""`manage.py import_events FILE.csv`: the past of a shop, from a file that it exports."""

import csv
import os
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.utils import timezone

from apps.core.sheets import FIRST_ROW, SURPLUS, BadSheet, Sheet, open_sheet
from apps.events import services
from apps.events.importing import BadPlan, Import, ImportReport, Plan, Refusal, Stuck
from apps.events.models import Source

BAR = 30

HELP = """
Load events from a CSV file (UTF-8, with a row of column names, packed with gzip or not).

  manage.py import_events events.csv --source "Old shop" \\
      --map occurred_at=event_time --map user_id=user_id \\
      --map event=event_type --rename view="Product Viewed" --rename cart="Product Added" \\
      --map properties.product_id=product_id --map properties.price:number=price \\
      --set properties.currency=EUR --rejected rejected.csv

Fields: event, type (track, unless told), name, user_id, anonymous_id, previous_id, message_id,
occurred_at, and properties.…, traits.…, context.…; values are text, numbers with :number behind the
field. Times are ISO 8601, with or without UTC behind it, or seconds since 1970.

History starts no workflow; --live lets it. The same file imported again adds nothing, so an import
that was interrupted is simply started again.
"""


class Command(BaseCommand):
    help = HELP

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("file", help="The CSV file.")
        parser.add_argument(
            "--source", required=True, help="The name of the source; made if there is none."
        )
        parser.add_argument(
            "--map", action="append", default=[], metavar="FIELD=COLUMN", help="May be repeated."
        )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help="The same for all rows; may be repeated.",
        )
        parser.add_argument(
            "--rename",
            action="append",
            default=[],
            metavar="VALUE=NAME",
            help="What an event of the file is called here; may be repeated.",
        )
        parser.add_argument(
            "--rejected", metavar="FILE", help="Write the rows that are refused here, with why."
        )
        parser.add_argument("--delimiter", default=",", help="What divides the columns.")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument(
            "--backfill",
            action="store_true",
            default=True,
            dest="is_backfill",
            help="It is history and starts no workflow (the default).",
        )
        kind.add_argument(
            "--live",
            action="store_false",
            dest="is_backfill",
            help="It starts workflows, as far as these take events that old.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        delimiter = "\t" if options["delimiter"] in ("tab", "\\t") else options["delimiter"]
        try:
            plan = _read_plan(options)
            with (
                open_sheet(options["file"], delimiter=delimiter) as sheet,
                _refusals(options["rejected"], options["file"], sheet) as refusals,
            ):
                for column in plan.columns.values():
                    sheet.need(column)
                work = Import(
                    plan=plan,
                    source=self._source(options["source"]),
                    is_backfill=options["is_backfill"],
                    clock=timezone.now,
                    on_refusal=refusals.write,
                )
                progress = Progress(self.stderr, sheet)
                for report in work.run(sheet.rows(), first_row=FIRST_ROW):
                    progress.show(report)
                progress.end()
        except (BadPlan, BadSheet, Stuck) as problem:
            raise CommandError(str(problem)) from problem
        self._tell(work.report, time.monotonic() - began)

    def _source(self, name: str) -> Source:
        source = Source.objects.filter(name=name).first()
        if source is None:
            # Whoever brings a file answers for what is in it.
            source, _ = services.create_source(
                name=name, is_consent_settled=True, now=timezone.now()
            )
            self.stdout.write(f"Made the source “{name}”; make a new secret key to send with it.")
        if source.is_internal or not source.is_active:
            raise CommandError(f"The source “{name}” takes no events.")
        return source

    def _tell(self, report: ImportReport, seconds: float) -> None:
        rate = report.row_count / max(seconds, 0.001)
        self.stdout.write(
            f"Rows: {report.row_count:,} read, {report.stored:,} stored, {report.doubles:,} there "
            f"already, {report.refused.total():,} refused; {seconds:.1f} s, {rate:,.0f} rows/s."
        )
        for reason, count in report.refused.most_common():
            self.stdout.write(f"  {reason}: {count:,}")


class Progress:
    """How far an import is: a bar on a terminal, elsewhere a line at each tenth of the file."""

    def __init__(self, stream: OutputWrapper, sheet: Sheet) -> None:
        self.stream = stream
        self.sheet = sheet
        self.tenth = 0

    def show(self, report: ImportReport) -> None:
        share = self.sheet.position() / max(self.sheet.size, 1)
        text = f"{share:4.0%} {report.row_count:,} rows, {report.refused.total():,} refused"
        if self.stream.isatty():
            bar = "█" * round(share * BAR)
            self._write(f"\r{bar:░<{BAR}} {text}", ending="")
        elif int(share * 10) > self.tenth:
            self.tenth = int(share * 10)
            self._write(text.strip())

    def end(self) -> None:
        if self.stream.isatty():
            self._write("")

    def _write(self, text: str, ending: str = "\n") -> None:
        self.stream.write(text, style_func=str, ending=ending)
        self.stream.flush()


class _Refusals:
    """The file in which refused rows are given back, as they came, with their number and why."""

    def __init__(self, rows: Any, columns: list[str]) -> None:
        self.rows = rows
        self.columns = columns
        if rows:
            rows.writerow(["row", "reason", "detail", *columns])

    def write(self, refusal: Refusal) -> None:
        if self.rows:
            cells = [refusal.row[column] for column in self.columns]
            cells += [refusal.row[SURPLUS]] if SURPLUS in refusal.row else []
            self.rows.writerow([refusal.number, refusal.reason, refusal.detail, *cells])


@contextmanager
def _refusals(path: str | None, original: str, sheet: Sheet) -> Iterator[_Refusals]:
    if not path:
        yield _Refusals(None, sheet.columns)
        return
    if os.path.exists(path) and os.path.samefile(path, original):
        raise CommandError("--rejected names the file itself.")
    try:
        file = open(path, "w", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
    except OSError as problem:
        raise CommandError(f"{path} can't be written: {problem.strerror}.") from problem
    with file:
        yield _Refusals(csv.writer(file), sheet.columns)


def _read_plan(options: dict[str, Any]) -> Plan:
    plan = Plan.read(
        columns=_read_pairs("--map", options["map"]),
        constants=_read_pairs("--set", options["set"]),
        event_names=_read_pairs("--rename", options["rename"]),
    )
    if options["is_backfill"] and not plan.has_time():
        raise BadPlan("Say when: map occurred_at, or give --live if it happens now.")
    return plan


def _read_pairs(option: str, pairs: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name:
            raise BadPlan(f"{option} {pair}: write it as NAME=VALUE.")
        if name in found:
            raise BadPlan(f"{option} {name} is given more than once.")
        found[name] = value
    return found
