"""Who wants mail more rarely, or none for a while, is heard at the gate."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from apps.consent.models import MailPreference, Purpose
from apps.contacts.models import Contact
from apps.messaging import delivery
from apps.messaging.models import Message
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageFactory, TemplateVersionFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def contact() -> Contact:
    contact = ContactFactory()
    grant(contact, Purpose.EMAIL_MARKETING, NOON - 30 * DAY)
    return contact


def wish(contact: Contact, **wishes: Any) -> None:
    MailPreference.objects.create(contact=contact, changed_at=NOON, **wishes)


def queue(contact: Contact, at: datetime = NOON, **fields: Any) -> Message:
    return MessageFactory(contact=contact, due_at=at, queued_at=at, **fields)


def fates() -> list[tuple[str, str]]:
    return list(Message.objects.order_by("id").values_list("status", "reason"))


def test_a_pause_holds_until_it_is_over(contact):
    wish(contact, paused_until=NOON + 30 * DAY)
    queue(contact)
    delivery.deliver(now=NOON)
    queue(contact, NOON + 30 * DAY)
    delivery.deliver(now=NOON + 30 * DAY)

    assert fates() == [("skipped", "paused"), ("sent", "")]
    answer = next(one for one in Message.objects.first().gate if one["check"] == "pause")
    assert answer["values"] == {"paused_until": (NOON + 30 * DAY).isoformat()}


def test_one_mail_a_week_is_one_mail_a_week(contact):
    wish(contact, frequency="weekly")
    other = ContactFactory()
    grant(other, Purpose.EMAIL_MARKETING, NOON - DAY)
    for days in (0, 1, 6.9, 7.1):
        for person in (contact, other):
            queue(person, NOON + days * DAY)
        delivery.deliver(now=NOON + days * DAY)

    mine = list(contact.messages.order_by("id").values_list("status", "reason"))
    assert mine == [
        ("sent", ""), ("skipped", "weekly_limit"), ("skipped", "weekly_limit"), ("sent", ""),
    ]  # fmt: skip
    assert {status for status, _ in other.messages.values_list("status", "reason")} == {"sent"}


def test_of_two_in_one_batch_one_goes_and_the_other_is_judged_anew(contact):
    wish(contact, frequency="weekly")
    # The first mail of a connection is judged alone; this one opens it.
    opener = ContactFactory()
    grant(opener, Purpose.EMAIL_MARKETING, NOON - DAY)
    queue(opener)
    for _ in range(2):
        queue(contact)

    for minute in range(3):
        delivery.deliver(now=NOON + timedelta(minutes=minute))

    assert fates() == [("sent", ""), ("sent", ""), ("skipped", "weekly_limit")]
    assert len(mail.outbox) == 2


def test_what_may_have_gone_out_counts(contact):
    wish(contact, frequency="weekly")
    first = queue(contact)
    delivery.deliver(now=NOON)
    Message.objects.filter(pk=first.pk).update(status="in_doubt", reason="worker_lost")
    queue(contact, NOON + DAY)

    delivery.deliver(now=NOON + DAY)

    assert fates()[1] == ("skipped", "weekly_limit")


def test_what_is_owed_by_contract_goes_out_all_the_same(contact):
    Purpose.objects.create(key="orders", name="Orders", lawful_basis=Purpose.Basis.CONTRACT)
    grant(contact, "orders", NOON - DAY)
    wish(contact, frequency="weekly", paused_until=NOON + DAY)
    text = TemplateVersionFactory(template__purpose_id="orders")
    for _ in range(2):
        queue(contact, template_version=text, purpose_id="orders")

    delivery.deliver(now=NOON)

    assert fates() == [("sent", ""), ("sent", "")]
