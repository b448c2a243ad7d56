"""manage.py seed_demo: fill an empty installation with the demo shop; safe to run again."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.demo import seeding


class Command(BaseCommand):
    help = "Make the demo shop's keys, products, workflows and people, where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        notes = seeding.seed(now=timezone.now())
        self.stdout.write(f"Shop: {notes['base_url']}/demo/")
        self.stdout.write(f"Log-in and keys: {seeding.notes_file()}")
