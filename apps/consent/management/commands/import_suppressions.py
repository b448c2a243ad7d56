"""`manage.py import_suppressions FILE`: bring along who must never be written to."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.consent import suppressions


class Command(BaseCommand):
    help = (
        "Keep every address of a CSV file silent. The column “email” is read, or the first one "
        "where no column is called so. Addresses are kept as keyed hashes only."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                report = suppressions.import_list(file, now=timezone.now())
        except OSError as problem:
            raise CommandError(f"The file can't be read: {problem.strerror}.") from problem
        except suppressions.BadList as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(
            f"{report.added:,} addresses are silent from now on, {report.known:,} were so already, "
            f"{report.bad:,} rows hold no address."
        )
