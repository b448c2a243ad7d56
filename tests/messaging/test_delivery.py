"""Claim, gate, hand over, record; what the server says, and what is known afterwards."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import OperationalError, connection

from apps.contacts.models import Contact
from apps.events import services as events
from apps.messaging import delivery, ledger, links
from apps.messaging.backends import ConnectionFailed, Refused, UnknownOutcome
from apps.messaging.models import Message, MessageContent
from apps.messaging.transport import Answer, Outcome, transport
from tests.factories.consent import deny, grant
from tests.factories.messaging import MessageFactory, TemplateVersionFactory
from tests.instants import NOON
from tests.messaging.sink import free_port, smtp_server

pytestmark = pytest.mark.django_db
SMTP = "apps.messaging.backends.SmtpBackend"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def queued(count: int = 1, **fields: object) -> list[Message]:
    """Messages to people who have agreed."""
    version = TemplateVersionFactory()
    messages = MessageFactory.create_batch(count, **{"template_version": version, **fields})
    for message in messages:
        grant(message.contact, "email_marketing", NOON)
    return messages


def tell_something_about(contact: Contact) -> None:
    """An event is acknowledged and waits in the inbox."""
    events.record_internal(
        name="Something Done", contact_id=contact.pk, message_id="m1", properties={}, now=NOON
    )


def deliver(now=NOON, **options: object) -> int:
    return delivery.deliver(now=now, clock=lambda: now, **options)


def states(*fields: str) -> list[tuple]:
    return list(Message.objects.order_by("id").values_list("status", *fields))


class Faulty(BaseEmailBackend):
    """Raises for each mail what the test has put in line."""

    faults: list[Exception | None] = []
    taken: list[EmailMessage] = []

    def send_messages(self, email_messages):
        fault = Faulty.faults.pop(0) if Faulty.faults else None
        if fault is not None:
            raise fault
        Faulty.taken += email_messages
        return len(email_messages)


class Slow(BaseEmailBackend):
    """Takes its time for each mail, by a clock of its own; `meanwhile` happens in the first."""

    now = NOON
    pause = timedelta(0)
    taken: list[tuple[str, timedelta]] = []
    meanwhile: Callable[[], object] | None = None

    def send_messages(self, email_messages):
        [letter] = email_messages
        gated_at = Message.objects.get(public_id=letter.metadata["message_id"]).gated_at
        Slow.taken.append((letter.to[0], Slow.now - gated_at))
        if Slow.meanwhile:
            Slow.meanwhile()
            Slow.meanwhile = None
        Slow.now += Slow.pause
        return 1


@pytest.fixture
def slow(settings):
    settings.EMAIL_BACKEND = "tests.messaging.test_delivery.Slow"
    Slow.now, Slow.pause, Slow.taken, Slow.meanwhile = NOON, timedelta(0), [], None
    return Slow


@pytest.fixture
def faulty(settings):
    settings.EMAIL_BACKEND = "tests.messaging.test_delivery.Faulty"
    Faulty.faults, Faulty.taken = [], []
    return Faulty


def test_deliver_sends_and_records():
    [message] = queued()

    count = deliver()

    message.refresh_from_db()
    assert count == 1
    assert [sent.to for sent in mail.outbox] == [[message.contact.email]]
    assert (message.status, message.reason, message.attempt) == ("sent", "", 1)
    assert (message.sent_at, message.gated_at, message.closed_at) == (NOON, NOON, NOON)
    assert message.email == message.contact.email
    assert message.consent_record.contact == message.contact


def test_deliver_keeps_what_was_said():
    [message] = queued()
    grant(message.contact, "open_tracking", NOON)

    deliver()

    content = MessageContent.objects.get(message=message)
    assert content.subject == mail.outbox[0].subject
    assert content.text == mail.outbox[0].body
    assert content.html == mail.outbox[0].alternatives[0].content
    assert content.links == [
        "https://shop.example/sale?utm_source=cuepost&utm_medium=email"
        f"&utm_campaign={message.template_version.template.key}"
    ]


def test_deliver_takes_only_what_is_due_by_priority_and_age():
    later, broadcast, first = (
        queued(due_at=NOON + SECOND)[0],
        queued(priority=10)[0],
        queued(due_at=NOON - SECOND)[0],
    )

    count = deliver()

    assert count == 2
    assert [sent.to[0] for sent in mail.outbox] == [first.contact.email, broadcast.contact.email]
    later.refresh_from_db()
    assert later.status == "queued"


def test_deliver_hands_over_before_it_judges_what_is_less_urgent():
    moments = (NOON + number * SECOND for number in itertools.count())
    [broadcast], [urgent] = queued(priority=10), queued()

    delivery.deliver(now=NOON, clock=lambda: next(moments))

    broadcast.refresh_from_db()
    urgent.refresh_from_db()
    assert urgent.gated_at < urgent.sent_at < broadcast.gated_at < broadcast.sent_at


def test_deliver_takes_no_more_than_its_limit():
    queued(3)

    assert deliver(limit=2) == 2
    assert sorted(states()) == [("queued",), ("sent",), ("sent",)]


def test_deliver_skips_what_the_gate_refuses_and_sends_the_rest():
    refused, allowed = queued(2)
    deny(refused.contact, "email_marketing", NOON)

    deliver()

    assert states("reason") == [("skipped", "consent_withdrawn"), ("sent", "")]
    assert [sent.to[0] for sent in mail.outbox] == [allowed.contact.email]


def test_deliver_skips_a_message_whose_text_fails_and_sends_the_rest():
    broken = TemplateVersionFactory(html="<p>{{ contact.shoe_size }}</p>")
    queued(template_version=broken)
    queued()

    deliver()

    assert states("reason", "reason_values") == [
        ("skipped", "undefined_variable", {"variable": "contact.shoe_size"}),
        ("sent", "", {}),
    ]


def test_deliver_survives_a_message_that_breaks_the_gate(monkeypatch):
    first, poison, last = queued(3)
    compose = delivery.composition.compose

    def explode(message, **arguments):
        if message.pk == poison.pk:
            raise KeyError("unforeseen")
        return compose(message, **arguments)

    monkeypatch.setattr(delivery.composition, "compose", explode)
    deliver()

    assert [status for (status,) in states()] == ["sent", "claimed", "sent"]
    assert [sent.to[0] for sent in mail.outbox] == [first.contact.email, last.contact.email]


def test_a_database_that_fails_at_the_gate_ends_the_run_and_costs_no_message():
    queued(2)

    def fail(execute, sql, *rest):
        if "FOR UPDATE OF" in sql:
            raise OperationalError("The connection is lost.")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        deliver()

    assert mail.outbox == []
    delivery.reap(now=NOON + MINUTE)
    assert deliver(NOON + MINUTE) == 2
    assert states("reason") == [("sent", ""), ("sent", "")]


def test_a_message_whose_claim_is_lost_three_times_fails():
    queued()

    for turn in range(3):
        now = NOON + turn * 2 * MINUTE
        assert len(ledger.claim(now=now, limit=10)) == 1
        assert delivery.reap(now=now + MINUTE) == 1
    assert states("reason", "reason_values") == [("failed", "poison", {"lost_claims": 3})]


def test_three_lost_workers_cost_none_of_those_who_waited_together():
    queued(3)

    for turn in range(2):
        now = NOON + turn * 2 * MINUTE
        assert len(ledger.claim(now=now, limit=10)) == 3
        delivery.reap(now=now + MINUTE)
    now = NOON + 4 * MINUTE
    assert len(ledger.claim(now=now, limit=10)) == 1
    delivery.reap(now=now + MINUTE)
    assert [deliver(now + MINUTE) for _ in range(3)] == [1, 1, 0]

    assert states("reason") == [("failed", "poison"), ("sent", ""), ("sent", "")]


def test_those_before_a_suspect_are_claimed_and_those_behind_it_wait():
    lost = {"reason": "claim_lost", "reason_values": {"lost_claims": 2}}
    first, suspect, last = queued()[0], queued(**lost)[0], queued()[0]

    claims = [ledger.claim(now=NOON, limit=10) for _ in range(4)]

    ids = [[claim.message_id for claim in batch] for batch in claims]
    assert ids == [[first.pk], [suspect.pk], [last.pk], []]


def test_reap_puts_a_lost_claim_back_only_after_its_lease():
    queued()
    ledger.claim(now=NOON, limit=10)

    assert delivery.reap(now=NOON + MINUTE - SECOND) == 0
    assert delivery.reap(now=NOON + MINUTE) == 1
    assert states("reason", "lease_until") == [("queued", "claim_lost", None)]


def test_reap_leaves_a_lost_hand_over_in_doubt_and_nothing_resends_it():
    queued()
    delivery._pass_gate(ledger.claim(now=NOON, limit=10), NOON)

    assert delivery.reap(now=NOON + MINUTE) == 1
    assert deliver(NOON + 2 * MINUTE) == 0
    assert states("reason", "closed_at") == [("in_doubt", "worker_lost", NOON + MINUTE)]
    assert mail.outbox == []


def test_a_worker_that_lost_its_claim_changes_nothing():
    queued()
    stale = ledger.claim(now=NOON, limit=10)
    delivery.reap(now=NOON + MINUTE)
    [fresh] = ledger.claim(now=NOON + MINUTE, limit=10)

    assert delivery._pass_gate(stale, NOON + MINUTE) == []
    assert ledger.release(stale) == 0
    assert fresh.attempt == 2
    assert states("attempt") == [("claimed", 2)]


def test_a_late_answer_settles_the_doubt():
    queued()
    [(letter, _)] = delivery._pass_gate(ledger.claim(now=NOON, limit=10), NOON)
    delivery.reap(now=NOON + MINUTE)

    answer = Answer(Outcome.ACCEPTED, provider_id="p-1")
    ledger.record([delivery._result(letter, answer, NOON + MINUTE)])

    assert states("provider_id", "reason") == [("sent", "p-1", "")]


def test_an_answer_after_the_webhook_keeps_what_the_webhook_said():
    queued()
    [(letter, _)] = delivery._pass_gate(ledger.claim(now=NOON, limit=10), NOON)
    said = {"answer": "550 no such user"}
    Message.objects.update(
        status="bounced", reason="bounced", reason_values=said, closed_at=NOON + SECOND
    )

    answer = Answer(Outcome.ACCEPTED, provider_id="p-1")
    ledger.record([delivery._result(letter, answer, NOON + 2 * SECOND)])

    assert states("reason", "reason_values") == [("bounced", "bounced", said)]
    assert states("provider_id", "sent_at", "closed_at") == [
        ("bounced", "p-1", NOON + 2 * SECOND, NOON + SECOND)
    ]


def test_nothing_is_handed_over_once_the_lease_is_over(monkeypatch):
    queued(2)
    times = iter([NOON, NOON])

    def clock():
        return next(times, NOON + 2 * MINUTE)

    delivery.deliver(now=NOON, clock=clock)

    assert mail.outbox == []
    assert states() == [("queued",), ("queued",)]


def test_no_mail_of_a_server_that_turns_slow_lies_long_behind_its_gate(slow):
    queued(20)
    deliver(limit=1)
    slow.pause = timedelta(seconds=0.3)

    delivery.deliver(now=NOON, clock=lambda: slow.now)

    assert len(slow.taken) == 20
    assert max(waited for _, waited in slow.taken) <= delivery.FRESH
    assert set(states("attempt", "reason")) == {("sent", 1, "")}


def test_an_event_that_comes_while_a_server_is_slow_holds_the_mail(slow):
    *_, last = queued(5)
    deliver(limit=1)
    slow.pause = timedelta(seconds=2)
    slow.meanwhile = lambda: tell_something_about(last.contact)

    delivery.deliver(now=NOON, clock=lambda: slow.now)

    assert last.contact.email not in {address for address, _ in slow.taken}
    last.refresh_from_db()
    assert (last.status, last.reason) == ("queued", "pending_events")
    assert [status for (status,) in states()] == ["sent"] * 4 + ["queued"]


def test_a_run_with_a_slow_server_ends_in_time_and_costs_the_rest_nothing(slow):
    queued(20)
    slow.pause = timedelta(seconds=3)

    delivery.deliver(now=NOON, clock=lambda: slow.now)

    assert slow.now - NOON <= delivery.LONGEST_RUN + slow.pause
    assert len(slow.taken) == 4
    assert Counter(states("attempt", "failure_count")) == {("sent", 1, 0): 4, ("queued", 1, 0): 16}


def test_a_refusal_for_now_is_tried_again_later(faulty):
    queued()
    faulty.faults = [Refused("451 busy", is_permanent=False)]

    deliver()
    values = {"answer": "451 busy", "failures": 1}
    assert states("reason", "reason_values", "due_at", "failure_count") == [
        ("queued", "refused", values, NOON + MINUTE, 1)
    ]
    deliver(NOON + MINUTE)
    assert states("reason") == [("sent", "")]


def test_a_message_refused_eight_times_fails(faulty):
    queued(failure_count=7)
    faulty.faults = [Refused("451 busy", is_permanent=False)]

    deliver()

    assert states("reason", "failure_count") == [("failed", "refused_too_often", 8)]


def test_a_refusal_for_good_fails_at_once_and_the_rest_goes_on(faulty):
    queued(2)
    faulty.faults = [Refused("550 no such user", is_permanent=True)]

    deliver()

    assert states("reason", "reason_values") == [
        ("failed", "rejected", {"answer": "550 no such user"}),
        ("sent", "", {}),
    ]


def test_an_unknown_outcome_is_in_doubt_and_never_sent_again(faulty):
    queued()
    faulty.faults = [UnknownOutcome("timeout")]

    deliver()
    assert deliver(NOON + timedelta(days=1)) == 0

    assert states("reason", "reason_values") == [
        ("in_doubt", "outcome_unknown", {"answer": "timeout"})
    ]
    assert faulty.taken == []


def test_an_unreachable_server_stops_the_batch_and_costs_the_rest_nothing(faulty, settings):
    settings.GATE_BATCH = 2
    queued(4)
    faulty.faults = [ConnectionFailed("refused")]

    deliver()

    assert states("reason", "due_at", "failure_count", "attempt") == [
        ("queued", "unreachable", NOON + MINUTE, 0, 1),
        ("queued", "", NOON, 0, 1),
        ("queued", "", NOON, 0, 1),
        ("queued", "", NOON, 0, 1),
    ]
    assert deliver(NOON + SECOND) == 0
    assert deliver(NOON + 5 * SECOND) == 3


def test_an_unreachable_server_is_tried_again_ever_more_rarely_and_never_makes_a_message_fail(
    faulty,
):
    [message] = queued()
    now, waits = NOON, []

    for _ in range(9):
        faulty.faults = [ConnectionFailed("refused")]
        deliver(now)
        message.refresh_from_db()
        waits.append((message.due_at - now) // MINUTE)
        now = message.due_at

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    values = {"answer": "refused", "tries": 9}
    assert states("reason", "reason_values", "failure_count") == [
        ("queued", "unreachable", values, 0)
    ]


def test_a_refusal_after_an_outage_is_the_first_one(faulty):
    values = {"answer": "refused", "tries": 50}
    queued(reason="unreachable", reason_values=values)
    faulty.faults = [Refused("451 greylisted", is_permanent=False)]

    deliver()

    assert states("reason", "due_at", "failure_count") == [("queued", "refused", NOON + MINUTE, 1)]


def test_a_throttling_provider_is_given_the_time_it_asks_for(monkeypatch):
    queued(2)
    answer = Answer(Outcome.THROTTLED, "HTTP 429", retry_after=30)
    monkeypatch.setattr(type(transport), "_try", lambda self, mail: answer)

    deliver()

    assert states("reason", "due_at", "failure_count") == [
        ("queued", "throttled", NOON + 30 * SECOND, 0),
        ("queued", "", NOON, 0),
    ]
    assert deliver(NOON + 29 * SECOND) == 0
    monkeypatch.undo()
    assert deliver(NOON + 30 * SECOND) == 2


def test_what_arrives_by_smtp_is_a_whole_mail_with_a_way_out(settings):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = SMTP, "127.0.0.1"
    settings.DEFAULT_FROM_EMAIL = "Shop <hello@shop.example>"
    [message] = queued(contact__first_name="Jörg")

    with smtp_server() as sink:
        settings.EMAIL_PORT = sink.port
        deliver()
        transport.close()

    [taken] = sink.mails
    assert (taken["From"], taken["To"]) == (settings.DEFAULT_FROM_EMAIL, message.contact.email)
    assert (taken["Subject"], taken["Date"].datetime) == ("Hello Jörg", NOON)
    assert taken["Message-ID"] == f"<{message.public_id}@shop.example>"
    way_out = links.unsubscribe_url(contact_uuid=message.contact.uuid, public_id=message.public_id)
    assert taken["List-Unsubscribe"] == f"<{way_out}>"
    assert taken["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    kept = MessageContent.objects.get(message=message)
    parts = {part.get_content_type(): part.get_content() for part in taken.iter_parts()}
    assert list(parts) == ["text/plain", "text/html"]
    assert parts["text/plain"].split() == kept.text.split()
    assert parts["text/html"].split() == kept.html.split()


def test_smtp_down_loses_nothing(settings):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = SMTP, "127.0.0.1"
    settings.EMAIL_PORT = free_port()
    messages = queued(3)

    for minutes in (0, 1, 3):
        deliver(NOON + minutes * MINUTE)
    assert [status for (status,) in states()] == ["queued"] * 3
    with smtp_server(settings.EMAIL_PORT) as sink:
        deliver(NOON + timedelta(hours=1))

    assert [status for (status,) in states()] == ["sent"] * 3
    assert sorted(taken["To"] for taken in sink.mails) == [m.contact.email for m in messages]


@pytest.mark.parametrize(
    ("failures", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (500, 60)]
)
def test_back_off_doubles_up_to_an_hour(failures, minutes):
    assert delivery.back_off(failures) == timedelta(minutes=minutes)


def test_running_clock_starts_where_it_is_told():
    clock = delivery.running_clock(NOON)

    assert NOON <= clock() <= clock() < NOON + MINUTE


@pytest.mark.django_db(transaction=True)
def test_two_workers_claim_disjoint_work():
    queued(60)
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        while deliver(limit=7):
            pass
        transport.reset()
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    recipients = [sent.to[0] for sent in mail.outbox]
    assert len(recipients) == len(set(recipients)) == 60
    assert set(Message.objects.values_list("status", "attempt")) == {("sent", 1)}
