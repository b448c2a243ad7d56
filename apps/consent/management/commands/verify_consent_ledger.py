"""`manage.py verify_consent_ledger`: is the proof of every consent whole?"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.consent import services

STEP = 10_000


class Command(BaseCommand):
    help = (
        "Check the chain of every contact's consent records, and that what holds now is what the "
        "newest records say. Ends with 1 where something was changed or is missing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="Tell only what is wrong.")

    def handle(self, *args: Any, **options: Any) -> None:
        contacts = records = 0
        broken = set()
        for contact_uuid, count, faults in services.verify_ledger():
            for fault in faults:
                self.stderr.write(f"{contact_uuid}: {fault}")
                broken.add(contact_uuid)
            contacts += bool(count)
            if not options["quiet"] and (records + count) // STEP > records // STEP:
                self.stdout.write(f"{records + count:,} records …")
            records += count
        if broken:
            raise CommandError(f"The proof of {len(broken):,} contacts is not whole.")
        if not options["quiet"]:
            self.stdout.write(f"{records:,} records of {contacts:,} contacts are whole.")
