"""The engine without tables: what it decides is only collected."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from apps.messaging.models import Message
from apps.messaging.services import MessageRequest
from apps.workflows import engine
from apps.workflows.models import Enrollment, StepLog
from apps.workflows.store import LogRow
from tests.factories.contacts import ContactFactory
from tests.factories.workflows import EnrollmentFactory, WorkflowVersionFactory, make_definition
from tests.workflows.passing import after, happen

pytestmark = pytest.mark.django_db

HOURS = [0, 1, 1.5, 25, 26]


class Recording:
    """People who stand in no table, and all that is decided about them."""

    def __init__(self, people: list[Enrollment]) -> None:
        self.people = people
        self.mails: list[tuple[datetime, str]] = []
        self.lines: list[tuple[datetime, str, str, str]] = []

    def claim(self, *, now: datetime, limit: int) -> list[Enrollment]:
        due = [row for row in self.people if row.wake_at and row.wake_at <= now]
        return sorted(due, key=lambda row: (row.wake_at, row.pk))[:limit]

    def queue(self, requests: Sequence[MessageRequest], *, now: datetime) -> None:
        self.mails += [(now, request.template_key) for request in requests]

    def move(self, enrollments: Sequence[Enrollment]) -> None:
        """They are objects of this very list, and have moved."""

    def log(self, rows: Sequence[LogRow], *, now: datetime) -> None:
        self.lines += [(now, row.action, row.step_id, row.outcome) for row in rows]


@pytest.fixture
def version():
    return WorkflowVersionFactory(
        definition=make_definition(
            exit_when={"did": "Order Completed", "within": "since_enrollment"},
            steps=[
                {"wait": "1 hour"},
                {"if": {"attribute": "country", "is": "DE"}, "then": [{"send": "german"}]},
                {"wait": "1 day"},
                {"send": "last"},
            ],
        )
    )


def people(version, make):
    """Somebody who goes through it all, somebody from elsewhere, and somebody who orders."""
    rows = [
        make(pk=number, version=version, workflow=version.workflow, contact=contact)
        for number, contact in enumerate(
            [ContactFactory(country=country) for country in ("DE", "FR", "DE")], start=1
        )
    ]
    happen(rows[-1].contact, "Order Completed", after(20))
    return rows


def test_the_engine_runs_on_people_who_stand_in_no_table(version):
    world = Recording(people(version, EnrollmentFactory.build))

    for hours in HOURS:
        engine.advance(now=after(hours), effects=world)

    assert [row.status for row in world.people] == ["completed", "completed", "exited"]
    assert world.mails == [
        (after(1), "german"),
        (after(1), "german"),
        (after(25), "last"),
        (after(25), "last"),
    ]
    assert not Enrollment.objects.exists()
    assert not StepLog.objects.exists()
    assert not Message.objects.exists()


def test_what_is_recorded_is_what_would_have_been_done(version):
    world = Recording(people(version, EnrollmentFactory.build))
    people(version, EnrollmentFactory)

    for hours in HOURS:
        engine.advance(now=after(hours), effects=world)
        engine.advance(now=after(hours))

    log = StepLog.objects.order_by("id")
    mails = Message.objects.order_by("id")
    assert world.lines == list(log.values_list("logged_at", "action", "step_id", "outcome"))
    assert world.mails == list(mails.values_list("queued_at", "template_version__template__key"))
