"""Whose opens and clicks are recorded, and on what a mail goes out where nobody has to ask."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, transaction

from apps.events import pipeline
from apps.events.models import Event
from apps.messaging import delivery
from apps.messaging.models import Message
from tests.factories.consent import TopicFactory, deny, grant, say
from tests.factories.messaging import MessageFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(hours=1)
TRACKED = re.compile(r"/e/[oc]/")
SALE = "https://shop.example/sale?utm_source=cuepost&amp;utm_medium=email&amp;utm_campaign="


def queued(country: str, **fields: object) -> Message:
    message = MessageFactory(contact__country=country, **fields)
    grant(message.contact, "email_marketing", NOON)
    return message


def deliver(now=NOON) -> None:
    delivery.deliver(now=now, clock=lambda: now)


def answer(message: Message, check: str) -> dict:
    message.refresh_from_db()
    return next(row for row in message.gate if row["check"] == check)


@pytest.mark.parametrize("country", ["FR", "GB", "CH", "BR", "", "JP"])
def test_without_consent_a_mail_bears_no_pixel_and_no_tracked_link(country):
    message = queued(country)

    deliver()

    [sent] = mail.outbox
    html = sent.alternatives[0].content
    assert not TRACKED.search(html)
    assert SALE in html
    assert "/e/u/" in html
    assert answer(message, "tracking")["values"]["is_tracked"] is False
    assert answer(message, "tracking")["values"]["because"] == "no_consent"
    assert message.content.links == []


@pytest.mark.parametrize(
    ("country", "says", "is_tracked"),
    [
        ("FR", grant, True),
        ("FR", deny, False),
        ("US", None, True),
        ("US", deny, False),
    ],
)
def test_a_mail_is_tracked_where_that_is_allowed(country, says, is_tracked):
    message = queued(country)
    if says:
        says(message.contact, "open_tracking", NOON)

    deliver()

    assert bool(TRACKED.search(mail.outbox[0].alternatives[0].content)) is is_tracked
    assert answer(message, "tracking")["is_allowed"]


def test_each_mail_of_a_batch_is_tracked_by_its_own_consent():
    yes, no = queued("DE"), queued("DE")
    grant(yes.contact, "open_tracking", NOON)

    deliver()

    found = {sent.to[0]: bool(TRACKED.search(sent.alternatives[0].content)) for sent in mail.outbox}
    assert found == {yes.contact.email: True, no.contact.email: False}


@pytest.mark.parametrize("kind", ["o", "c"])
def test_a_pixel_sent_before_the_no_is_answered_and_tells_nothing(client, kind):
    message = queued("DE")
    grant(message.contact, "open_tracking", NOON)
    deliver()
    html = mail.outbox[0].alternatives[0].content
    path = re.search(rf"/e/{kind}/[^\"]+", html)[0]
    deny(message.contact, "open_tracking", LATER)

    response = client.get(path)

    pipeline.drain(now=LATER)
    assert response.status_code == (200 if kind == "o" else 302)
    assert not Event.objects.exists()


@pytest.mark.parametrize("state", [{}, {"state": "CA"}, {"state": "Texas"}])
def test_where_the_law_waits_for_a_no_the_basis_is_kept_instead_of_a_record(state):
    message = MessageFactory(contact__country="US", contact__attributes=state)

    deliver()

    message.refresh_from_db()
    assert (message.status, message.legal_basis, message.consent_record) == (
        "sent", "opt_out", None,
    )  # fmt: skip
    assert answer(message, "consent")["values"]["basis"] == "opt_out"


def test_where_the_law_waits_for_a_no_a_no_counts():
    message = MessageFactory(contact__country="US")
    record = deny(message.contact, "email_marketing", NOON)

    deliver()

    message.refresh_from_db()
    assert (message.status, message.reason) == ("skipped", "consent_withdrawn")
    assert message.reason_values["record"] == record.pk


def test_database_refuses_a_mail_that_went_out_on_nothing():
    message = MessageFactory()

    refused = pytest.raises(IntegrityError, match="message_sent_has_a_legal_basis")
    with refused, transaction.atomic():
        Message.objects.filter(pk=message.pk).update(status="sent")


@pytest.mark.parametrize(("status", "outcome"), [("granted", "sent"), ("denied", "skipped")])
def test_a_topic_that_was_left_out_stops_its_mails(status, outcome):
    topic = TopicFactory()
    message = queued("DE", topic=topic)
    other = MessageFactory(contact=message.contact)
    say(message.contact, "email_marketing", status, NOON, topic=topic.key)

    deliver()

    message.refresh_from_db()
    other.refresh_from_db()
    assert (message.status, other.status) == (outcome, "sent")
    assert message.reason == ("topic_refused" if outcome == "skipped" else "")
