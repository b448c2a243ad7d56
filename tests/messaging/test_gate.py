"""Every reason why a message does not go out, and the evidence that is kept."""

from datetime import timedelta

import pytest
from django.core import mail

from apps.commerce import selectors as commerce
from apps.consent import policy
from apps.consent.services import suppress
from apps.events import services as events
from apps.messaging import delivery, gate, registry
from apps.messaging.models import Message
from apps.messaging.registry import GateCheck, Verdict
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory
from tests.factories.events import SourceFactory
from tests.factories.messaging import MessageFactory, TemplateVersionFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def queued(**fields: object) -> Message:
    """A message to somebody who has agreed."""
    message = MessageFactory(**fields)
    grant(message.contact, "email_marketing", NOON)
    return message


def deliver(now=NOON) -> None:
    delivery.deliver(now=now, clock=lambda: now)


def outcome(message: Message) -> tuple[str, str, dict]:
    message.refresh_from_db()
    return message.status, message.reason, message.reason_values


def evidence(message: Message) -> dict[str, tuple[bool, str]]:
    message.refresh_from_db()
    return {row["check"]: (row["is_allowed"], row["reason"]) for row in message.gate}


@pytest.fixture
def extra_check():
    """Lets a test add a check, as the floors above do."""

    def add(verdict: Verdict) -> None:
        def ask(messages, now):
            return {message.pk: verdict for message in messages}

        registry.register_check(GateCheck("extra", 50, ask))

    known = dict(registry._checks)
    registry._checks.clear()
    yield add
    registry._checks.clear()
    registry._checks.update(known)


def test_what_may_go_keeps_every_answer_and_the_consent():
    message = queued()

    deliver()

    assert outcome(message) == ("sent", "", {})
    stored = {row["check"]: row for row in message.gate}
    assert all(row["is_allowed"] for row in message.gate)
    assert stored["pending_events"]["values"] == {}
    assert stored["address"]["values"] == {"email": message.contact.email}
    assert stored["consent"]["values"] == {
        "purpose": "email_marketing",
        "jurisdiction": "UNKNOWN",
        "rule": "opt_in",
        "status": "granted",
        "method": "form",
        "recorded_at": NOON.isoformat(),
        "basis": "consent",
        "record": message.consent_record_id,
    }
    assert message.legal_basis == "consent"
    assert stored["lateness"]["values"] == {"hours_waited": 0.0, "hours_allowed": 48.0}


def test_checks_after_a_refusal_are_asked_and_kept_too():
    message = MessageFactory(contact__email=None)

    deliver()

    answers = evidence(message)
    assert answers["address"] == (False, "no_address")
    assert answers["consent"] == (False, "no_consent")
    assert answers["template"] == (True, "")


@pytest.mark.parametrize(
    ("email", "reason"), [(None, "no_address"), ("not an address", "invalid_address")]
)
def test_without_a_usable_address_nothing_goes(email, reason):
    message = queued(contact__email=email)

    deliver()

    assert outcome(message)[:2] == ("skipped", reason)


def test_a_suppressed_address_gets_nothing():
    message = queued()
    suppress(emails=[message.contact.email], reason="bounced", now=NOON)

    deliver()

    assert outcome(message) == ("skipped", "suppressed", {})


def test_without_consent_nothing_goes():
    never, withdrawn = MessageFactory(), queued()
    record = deny(withdrawn.contact, "email_marketing", NOON)

    deliver()

    assert outcome(never)[:2] == ("skipped", "no_consent")
    assert outcome(withdrawn)[:2] == ("skipped", "consent_withdrawn")
    assert withdrawn.reason_values["record"] == record.pk
    assert mail.outbox == []


def test_a_withdrawal_from_a_clock_that_runs_ahead_counts():
    message = queued()
    deny(message.contact, "email_marketing", NOON + 30 * SECOND)

    deliver()

    assert outcome(message)[:2] == ("skipped", "consent_withdrawn")


def test_consent_is_asked_for_the_purpose_of_the_message():
    message = MessageFactory(purpose_id="tracking")
    grant(message.contact, "email_marketing", NOON)

    deliver()

    assert outcome(message)[:2] == ("skipped", "no_consent")


def test_an_allowance_without_a_record_is_none(monkeypatch):
    allowed = policy.Decision(is_allowed=True, reason="", record_id=None, values={})
    message = MessageFactory()
    monkeypatch.setattr(policy, "decide", lambda contacts, **_: dict.fromkeys(contacts, allowed))

    deliver()

    assert outcome(message) == ("skipped", "no_consent_record", {"record": None})


def test_an_unprocessed_event_of_that_person_holds_the_message_back():
    held, free = queued(contact__external_id="u-1"), queued()
    order = {"type": "track", "event": "Order Completed", "userId": "u-1", "messageId": "m-1"}
    events.accept(source=SourceFactory(), is_secret=True, messages=[order], received_at=NOON)

    deliver()

    assert outcome(held) == ("queued", "pending_events", {})
    assert held.due_at == NOON + SECOND
    assert outcome(free)[0] == "sent"


def test_a_person_whose_events_are_worked_in_gets_the_held_message(monkeypatch):
    message = queued()
    monkeypatch.setattr(gate.events, "contacts_with_pending", set)
    deliver()
    assert outcome(message)[0] == "queued"

    monkeypatch.undo()
    deliver(NOON + SECOND)

    assert outcome(message) == ("sent", "", {})


def test_a_text_that_does_not_compile_is_named():
    message = queued(template_version=TemplateVersionFactory(html="{% if %}"))

    deliver()

    assert outcome(message)[:2] == ("skipped", "template_syntax")


@pytest.mark.parametrize(
    ("carts", "expected"),
    [
        ({}, ("skipped", "nothing_available", {"cart": "c-1", "available_items": 0})),
        (
            {"c-1": {"items": []}},
            ("skipped", "nothing_available", {"cart": "c-1", "available_items": 0}),
        ),
        ({"c-1": {"items": [{"name": "Shoe"}]}}, ("sent", "", {})),
    ],
)
def test_a_mail_about_a_cart_needs_something_to_buy(monkeypatch, carts, expected):
    monkeypatch.setattr(commerce, "get_cart_context", lambda keys: carts)
    message = queued(context={"cart_key": "c-1"})

    deliver()

    assert outcome(message) == expected


@pytest.mark.parametrize(("seconds", "status"), [(0, "sent"), (1, "skipped")])
def test_a_message_that_waited_two_days_is_too_late(seconds, status):
    message = queued()

    deliver(NOON + timedelta(hours=48, seconds=seconds))

    assert outcome(message)[0] == status
    assert message.reason == ("too_late" if seconds else "")


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict(is_allowed=True, values={"a": 1}), ("sent", "", {})),
        (
            Verdict(is_allowed=False, reason="has_ordered", values={"order": "7"}),
            ("skipped", "has_ordered", {"order": "7"}),
        ),
        (
            Verdict(is_allowed=False, reason="workflow_paused", is_final=False),
            ("queued", "workflow_paused", {}),
        ),
    ],
)
def test_the_floors_above_have_a_say(extra_check, verdict, expected):
    extra_check(verdict)
    message = queued()

    deliver()

    assert outcome(message) == expected
    (answer,) = [answer for answer in message.gate if answer["check"] == "extra"]
    assert answer == {
        "check": "extra",
        "is_allowed": verdict.is_allowed,
        "reason": verdict.reason,
        "values": verdict.values or {},
    }


def test_a_hold_by_another_floor_lasts_a_minute(extra_check):
    extra_check(Verdict(is_allowed=False, reason="workflow_paused", is_final=False))
    message = queued()

    deliver()

    message.refresh_from_db()
    assert message.due_at == NOON + timedelta(minutes=1)


def test_the_gate_asks_a_batch_with_a_fixed_number_of_queries(
    django_assert_num_queries, extra_check
):
    for _ in range(3):
        queued(template_version=TemplateVersionFactory())
    deliver()
    version = TemplateVersionFactory()
    queued(template_version=version)
    deliver()

    for count in (1, 6):
        for _ in range(count):
            queued(template_version=version)
        # Claim; pending, lock, wishes, suppression, consent, tracking, fates, contents in a
        # savepoint; results.
        with django_assert_num_queries(13):
            deliver()


def test_a_contact_of_a_merged_message_is_the_one_it_has_now():
    message = queued()
    other = ContactFactory()
    grant(other, "email_marketing", NOON)
    Message.objects.filter(pk=message.pk).update(contact=other)

    deliver()

    assert [sent.to for sent in mail.outbox] == [[other.email]]
