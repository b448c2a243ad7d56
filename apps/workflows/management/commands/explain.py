"""`manage.py explain <contact>`: why was this sent, or not?"""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.contacts import services as contacts
from apps.messaging.models import Message
from apps.workflows import selectors
from apps.workflows.models import Workflow
from apps.workflows.selectors import Explanation, Passage


class Command(BaseCommand):
    help = "Tell, workflow by workflow, why a contact was written to, or why not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("contact", help="The contact's e-mail address or uuid.")

    def handle(self, *args: Any, **options: Any) -> None:
        contact = contacts.find_by_name(options["contact"])
        if contact is None:
            raise CommandError(f"No contact has the address or uuid {options['contact']!r}.")
        for workflow in Workflow.objects.order_by("name"):
            for line in _lines(selectors.explain(contact, workflow)):
                self.stdout.write(line)


def _lines(explanation: Explanation) -> Iterator[str]:
    workflow = explanation.workflow
    yield f"{workflow.name} ({workflow.get_status_display()})"
    if not explanation.passages and not explanation.refusals:
        yield "  No event of this contact has started it."
    for passage in explanation.passages:
        yield from _passage(passage)
    for refusal in explanation.refusals:
        yield f"  {_at(refusal.refused_at)}  not let in: {refusal.reason} {_values(refusal.values)}"
    yield ""


def _passage(passage: Passage) -> Iterator[str]:
    enrollment = passage.enrollment
    about = f" with {enrollment.entry_key}" if enrollment.entry_key else ""
    yield f"  {enrollment.get_status_display()}{about}"
    for line in passage.log:
        what = " ".join(filter(None, [line.action, line.step_id, line.outcome]))
        yield f"    {_at(line.logged_at)}  {what} {_values(line.values)}".rstrip()
    for message in passage.messages:
        yield from _message(message)


def _message(message: Message) -> Iterator[str]:
    version = message.template_version
    template = version.template.key if version else message.step_id
    reason = f": {message.reason} {_values(message.reason_values)}" if message.reason else ""
    yield f"    {_at(message.queued_at)}  mail {template} is {message.status}{reason}".rstrip()
    for answer in message.gate:
        yield f"      gate: {_values(answer)}"


def _at(instant: Any) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def _values(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, default=str) if values else ""
