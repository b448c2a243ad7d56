"""`manage.py privacy_erase <contact>`: forget a person for good."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.consent import erasure
from apps.contacts import services as contacts
from apps.contacts.models import Contact


class Command(BaseCommand):
    help = "Erase a person: nothing here holds them afterwards. It can't be undone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("contact", help="The contact's e-mail address or uuid.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        contact = find(options["contact"])
        if not options["yes"] and input("This can't be undone. Type “erase”: ") != "erase":
            raise CommandError("Nothing was erased.")
        now = timezone.now()
        row = erasure.begin(contact=contact, by="a command", now=now)
        if not erasure.finish(erasure=row, now=now):
            raise CommandError("A mail is being handed over still; beat erases the rest.")
        for name, count in sorted(row.counts.items()):
            self.stdout.write(f"{name}: {count:,}")
        self.stdout.write("Erased. The address stays on the list of those never written to.")


def find(name: str) -> Contact:
    """By address or uuid. Raises CommandError."""
    found = contacts.find_by_name(name)
    if found is None:
        raise CommandError("No contact has this address or uuid.")
    return found
