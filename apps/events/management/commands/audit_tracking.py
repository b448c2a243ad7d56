"""`manage.py audit_tracking URL`: what a page does for tracking, and whether that is sound."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.events import audit, fetching

NOT_SOUND = 1
UNREACHABLE = 2

SIGNS = {audit.GOOD: "ok", audit.INFO: "-", audit.WARNING: "warning", audit.DANGER: "DANGER"}


class Command(BaseCommand):
    help = (
        "Fetch a page and say which snippet, pixel, consent call and UTM parameters it has, and "
        "whether its key is known and public. Ends with 0 where all is sound, 1 where something "
        "is wrong, 2 where the page can't be fetched."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", help="Such as https://shop.example/")
        parser.add_argument("--json", action="store_true", help="For other programs to read.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = audit.audit(options["url"])
        except fetching.Unreachable as problem:
            raise CommandError(str(problem), returncode=UNREACHABLE) from problem
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
        else:
            self.stdout.write(f"{found.final_url} ({found.status})")
            for check in found.checks:
                self.stdout.write(f"  {SIGNS[check.state]:8} {check.text}")
        if not found.is_sound:
            raise CommandError("Tracking on this page is not sound.", returncode=NOT_SOUND)
        if not options["json"]:
            self.stdout.write("Tracking on this page is sound.")
