"""Two workers at once, and death at any moment."""

from threading import Thread

import pytest
from django.db import connection, transaction

from apps.messaging.models import Message
from apps.workflows import engine
from apps.workflows.models import Enrollment, StepLog
from tests.factories.contacts import ContactFactory
from tests.factories.workflows import EnrollmentFactory, WorkflowVersionFactory, make_definition
from tests.instants import NOON
from tests.workflows.passing import advance, after, happen, only, project


class Death(Exception):
    """The process ends here."""


def waiting(count):
    """So many people whose mail is due at noon."""
    version = WorkflowVersionFactory(definition=make_definition(steps=[{"send": "hello"}]))
    return [EnrollmentFactory(version=version) for _ in range(count)]


def in_thread(work):
    """Run on a connection of its own, and hand back the answer."""
    answers = []

    def run():
        try:
            answers.append(work())
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    thread.join(timeout=30)
    return answers[0]


@pytest.mark.django_db(transaction=True)
def test_two_workers_claim_different_rows():
    everyone = {row.pk for row in waiting(4)}

    with transaction.atomic():
        mine = {row.pk for row in Enrollment.objects.claim_due(NOON, limit=2)}

        def claim():
            with transaction.atomic():
                return {row.pk for row in Enrollment.objects.claim_due(NOON, limit=4)}

        theirs = in_thread(claim)

    assert len(mine) == 2
    assert theirs == everyone - mine


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_mail_once():
    waiting(60)
    done = []

    def work():
        try:
            while count := engine.advance(now=NOON, limit=7):
                done.append(count)
        finally:
            connection.close()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sum(done) == 120
    assert Message.objects.count() == 60
    assert StepLog.objects.filter(action="complete").count() == 60


def advance_and_die():
    """Do everything but commit."""
    with transaction.atomic():
        engine.advance(now=NOON)
        raise Death


@pytest.mark.django_db(transaction=True)
def test_death_before_the_commit_changes_nothing_and_after_it_repeats_nothing():
    waiting(3)

    with pytest.raises(Death):
        advance_and_die()
    assert (Message.objects.count(), Enrollment.objects.live().count()) == (0, 3)
    assert not StepLog.objects.exists()

    assert [engine.advance(now=NOON), engine.advance(now=NOON)] == [6, 0]
    assert Message.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_an_event_and_the_end_of_the_wait_at_once_take_one_way():
    step = {"wait_until": {"event": "A"}, "at_most": "1 hour", "then": [{"send": "a"}]}
    WorkflowVersionFactory(definition=make_definition(steps=[step, {"send": "b"}]))
    contact = ContactFactory()
    project(happen(contact))
    advance(NOON)
    event = happen(contact, "A", after(0.5), received_at=after(2))

    with transaction.atomic():
        project(event)
        assert in_thread(lambda: engine.advance(now=after(2))) == 0

    advance(after(2))
    assert [line.outcome for line in only().log.filter(action="wake")] == ["event"]
    assert Message.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_batches_let_the_same_contact_in_once_and_the_second_restarts():
    quiet = {"wait": "1 hour", "restart_on_trigger": True}
    WorkflowVersionFactory(definition=make_definition(steps=[quiet]))
    contact = ContactFactory()
    first, second = happen(contact), happen(contact, at=after(0.5))
    other = Thread(target=lambda: (project(second), connection.close()))

    with transaction.atomic():
        project(first)
        other.start()
        other.join(timeout=1)
        assert other.is_alive()
    other.join(timeout=30)
    advance(after(0.5))

    assert (only().restart_count, only().deadline_at) == (1, after(1.5))
