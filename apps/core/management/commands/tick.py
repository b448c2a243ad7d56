"""One whole turn of the product by hand."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.core import services
from apps.core.clock import BadInstant, parse_instant


class Command(BaseCommand):
    help = "Drain the inbox, advance the workflows, deliver; print what each stage did."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--now", help="Take the turn as if it were this time (ISO 8601); only with DEMO=1."
        )

    def handle(self, *args: Any, now: str | None, **options: Any) -> None:
        if now and not settings.DEMO:
            raise CommandError("--now moves real mail in time; it works only with DEMO=1.")
        try:
            instant = parse_instant(now) if now else timezone.now()
        except BadInstant as problem:
            raise CommandError(str(problem)) from problem
        for stage, count in services.tick(now=instant).items():
            self.stdout.write(f"{stage}: {count}")
