"""`manage.py privacy_export <contact>`: everything about a person, as a ZIP."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.consent import export
from apps.consent.management.commands.privacy_erase import find


class Command(BaseCommand):
    help = "Write everything we hold about a person into a ZIP."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("contact", help="The contact's e-mail address or uuid.")
        parser.add_argument("--out", type=Path, help="The file; else <uuid>.zip, here.")

    def handle(self, *args: Any, **options: Any) -> None:
        contact = find(options["contact"])
        path = options["out"] or Path(f"{contact.uuid}.zip")
        try:
            counts = export.write(contact=contact, path=path, by="a command", now=timezone.now())
        except OSError as problem:
            raise CommandError(f"{path} can't be written: {problem.strerror}.") from problem
        except export.Busy as problem:
            raise CommandError(str(problem)) from problem
        for name, count in counts.items():
            self.stdout.write(f"{name}: {count:,}")
        self.stdout.write(f"Written to {path}.")
