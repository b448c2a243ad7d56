"""Merges beside workers that are busy with the same two: nobody's rows are left behind."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import OperationalError, connection

from apps.consent import services as consent
from apps.consent.models import ConsentRecord, ConsentState, Purpose, Status
from apps.consent.services import Statement
from apps.contacts import merging
from apps.contacts.models import Contact, Identity, MergeLog
from apps.contacts.registry import NotNow
from apps.core.services import tick
from apps.events import services as events
from apps.events.models import Event, InboxEvent
from apps.messaging.models import Message
from apps.workflows.models import Enrollment
from tests.events.messages import identify, track
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory
from tests.factories.events import SourceFactory
from tests.factories.workflows import WorkflowVersionFactory, make_definition
from tests.instants import NOON

TURNS = 6
PAIRS = 4


def at_once(*works):
    """Run each on a connection of its own; raise what one of them raises."""
    problems = []
    barrier = Barrier(len(works))

    def run(work):
        try:
            barrier.wait()
            work()
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    threads = [Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    if problems:
        raise problems[0]


def until_done(act):
    """What staff does who is told to try again."""
    for _ in range(200):
        try:
            return act()
        except (NotNow, OperationalError):
            connection.close()
    raise AssertionError("It never got its turn.")


def tell(source, turn):
    """What a shop's server tells of all of them."""
    calls = []
    for name in [f"{letter}{n}" for n in range(PAIRS) for letter in "uv"]:
        cart = {"product_id": "cup", "cart_id": f"{name}-{turn}"}
        calls += [
            track("Product Added", userId=name, properties=cart),
            identify(userId=name, anonymousId=f"b-{name}", traits={"turn": turn}),
        ]
    events.accept(source=source, is_secret=True, messages=calls, received_at=NOON)


def merge(survivor, merged):
    until_done(
        lambda: merging.merge(survivor_id=survivor.pk, merged_id=merged.pk, by="boss", now=NOON)
    )


@pytest.mark.django_db(transaction=True)
def test_whatever_works_beside_a_merge_finds_the_survivor():
    source = SourceFactory()
    WorkflowVersionFactory(definition=make_definition(steps=[{"send": "cart-reminder"}]))
    pairs = [
        (
            ContactFactory(external_id=f"u{n}", email=f"u{n}@example.com"),
            ContactFactory(external_id=f"v{n}", email=f"v{n}@example.com"),
        )
        for n in range(PAIRS)
    ]
    for contact in Contact.objects.all():
        grant(contact, Purpose.EMAIL_MARKETING, NOON)

    def work():
        for turn in range(TURNS):
            tell(source, turn)
            tick(now=NOON + timedelta(minutes=turn))

    at_once(work, work, lambda: [merge(*pair) for pair in pairs])
    tick(now=NOON + timedelta(hours=1))

    gone = [merged.pk for _, merged in pairs]
    assert not InboxEvent.objects.exists()
    assert MergeLog.objects.count() == PAIRS
    for model in (Event, Enrollment, Message, Identity):
        assert not model.objects.filter(contact__in=gone).exists(), model
    assert Event.objects.filter(contact__in=[one.pk for one, _ in pairs]).count() == (
        2 * TURNS * PAIRS * 4
    )
    assert Contact.objects.present().count() == PAIRS


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_beside_a_merge_counts_for_the_survivor():
    for _ in range(TURNS):
        survivor, merged = ContactFactory(), ContactFactory()
        grant(survivor, Purpose.EMAIL_MARKETING, NOON)
        no = Statement(
            contact_id=merged.pk,
            purpose=Purpose.EMAIL_MARKETING,
            status=Status.DENIED,
            method=ConsentRecord.Method.ONE_CLICK,
        )

        at_once(
            lambda said=no: consent.record_consents(statements=[said], now=NOON),
            lambda one=survivor, other=merged: merge(one, other),
        )

        assert ConsentState.objects.get(contact=survivor).status == Status.DENIED
        assert consent.verify_chain(survivor) == []
        assert consent.verify_chain(merged) == []
