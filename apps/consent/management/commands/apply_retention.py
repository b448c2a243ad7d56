"""`manage.py apply_retention`: let go of what is older than the rules keep it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.consent import retention


class Command(BaseCommand):
    help = "Take away data that is older than the retention rules keep it; beat does so daily."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would go, and take nothing away."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if options["dry_run"]:
            for due in retention.preview(now=now):
                kept = f"kept {due.keep_days:,} days" if due.keep_days else "kept for ever"
                self.stdout.write(f"{due.store.name}: {due.count:,} would go ({kept})")
            return
        for key, count in retention.apply(now=now).items():
            self.stdout.write(f"{key}: {count:,} gone")
