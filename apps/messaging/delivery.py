"""From the queue to the mail server: claim, gate, hand over, record.

Messages pass the gate in small batches, so that little time lies between the gate's answer and the
hand-over, and a worker that dies leaves at most one such batch in doubt.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from apps.messaging import composition, context, gate, ledger
from apps.messaging.composition import Composed
from apps.messaging.ledger import Claim, Fate, Result
from apps.messaging.models import Message
from apps.messaging.rendering import TemplateError
from apps.messaging.transport import Answer, Outcome, transport

logger = logging.getLogger(__name__)

CLAIM_SIZE = 50
HOLD_FOR_EVENTS = timedelta(seconds=1)
HOLD = timedelta(minutes=1)
MAX_FAILURES = 8
MAX_BACK_OFF = timedelta(hours=1)
# How long a mail may lie between the gate and the hand-over; then it is judged anew.
FRESH = timedelta(seconds=0.5)
# However slow the server is, a turn of the product stays a turn.
LONGEST_RUN = timedelta(seconds=10)
UNREACHABLE = "unreachable"

Clock = Callable[[], datetime]
Status = Message.Status


def running_clock(now: datetime) -> Clock:
    """A clock that stands at `now` and moves on with real time."""
    began = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began)


def reap(*, now: datetime) -> int:
    """Pick up what dead workers left behind."""
    return ledger.reap(now=now)


def deliver(*, now: datetime, limit: int = CLAIM_SIZE, clock: Clock | None = None) -> int:
    """Send what is due, at most `limit` messages; answer how many were taken up."""
    clock = clock or running_clock(now)
    began = clock()
    if transport.is_resting(began):
        return 0
    claims = ledger.claim(now=began, limit=limit)
    waiting = claims
    while waiting:
        size = transport.batch_size(settings.GATE_BATCH, seconds=FRESH.total_seconds())
        batch = _next_at_the_gate(waiting, size)
        stale, goes_on = _deliver_batch(batch, clock)
        waiting = stale + waiting[len(batch) :]
        if not goes_on or clock() - began > LONGEST_RUN:
            ledger.release(waiting)
            break
    return len(claims)


def _next_at_the_gate(claims: Sequence[Claim], size: int) -> list[Claim]:
    """So many at most, all equally urgent: one to one never waits until a broadcast is judged."""
    return [claim for claim in claims[:size] if claim.priority == claims[0].priority]


def _deliver_batch(claims: Sequence[Claim], clock: Clock) -> tuple[list[Claim], bool]:
    """Send one gate batch; answer who has to pass the gate again, and whether to go on."""
    gated_at = clock()
    try:
        letters = _pass_gate(claims, gated_at)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        # One message must not take its neighbors along; alone, it is lost three times, then failed.
        logger.exception("A batch of %d messages failed at the gate.", len(claims))
        # A list: each of them gets its turn, whatever becomes of the one before.
        alone = [_deliver_batch([claim], clock) for claim in claims if len(claims) > 1]
        return [], all(goes_on for _, goes_on in alone)
    return _hand_over(letters, gated_at, clock)


def _hand_over(
    letters: list[tuple[Message, Composed]], gated_at: datetime, clock: Clock
) -> tuple[list[Claim], bool]:
    results: list[Result] = []
    try:
        while letters:
            now = clock()
            message, composed = letters[0]
            if message.lease_until is None or now >= message.lease_until:
                return [], False
            # One goes in any case, or a slow gate would never let anything through.
            if results and now - gated_at > FRESH:
                stale = _claims_of(letters)
                ledger.take_back(stale, now=now)
                letters.clear()
                return stale, True
            del letters[0]
            answer = transport.hand_over(composed.mail, now=now)
            results.append(_result(message, answer, clock()))
            if answer.outcome in (Outcome.UNREACHABLE, Outcome.THROTTLED):
                return [], False
        return [], True
    finally:
        ledger.record(results)
        # What is left was never handed over, and that is certain.
        ledger.release(_claims_of(letters))


def _claims_of(letters: list[tuple[Message, Composed]]) -> list[Claim]:
    return [
        Claim(message.pk, message.attempt, message.contact_id, message.priority)
        for message, _ in letters
    ]


# --- the point of no return -----------------------------------------------------------------------


@transaction.atomic
def _pass_gate(claims: Sequence[Claim], now: datetime) -> list[tuple[Message, Composed]]:
    """Judge and write a batch; those that come back are `sending` and wait for the hand-over."""
    # Asked before anything else is read, for those who were claimed.
    pending = gate.with_pending_events({claim.contact_id for claim in claims})
    batch = gate.Batch(_lock(claims), now, pending)
    if not batch.messages:
        return []
    letters: list[tuple[Message, Composed]] = []
    fates = [_fate(decision, batch, letters) for decision in gate.judge(batch)]
    ledger.write_fates(fates, now=now)
    ledger.keep_contents(letters)
    return letters


def _lock(claims: Sequence[Claim]) -> list[Message]:
    """The rows of these claims that are still ours."""
    attempts = {claim.message_id: claim.attempt for claim in claims}
    rows = Message.objects.filter(pk__in=attempts, status=Status.CLAIMED)
    locked = rows.select_related("contact").order_by("priority", "due_at", "id")
    locked = locked.select_for_update(of=("self",))
    return [message for message in locked if message.attempt == attempts[message.pk]]


def _fate(
    decision: gate.Decision, batch: gate.Batch, letters: list[tuple[Message, Composed]]
) -> Fate:
    """Where a decision leads; a message that may go is rendered here and joins the letters."""
    message, refusal = decision.message, decision.refusal
    message.email = message.contact.email or ""
    if refusal is not None:
        hold = HOLD_FOR_EVENTS if refusal.reason == gate.PENDING_EVENTS else HOLD
        return Fate(
            message=message,
            status=Status.SKIPPED if refusal.is_final else Status.QUEUED,
            reason=refusal.reason,
            values=refusal.values or {},
            answers=decision.answers,
            due_at=None if refusal.is_final else refusal.hold_until or batch.now + hold,
        )
    try:
        composed = _compose(message, batch)
    except TemplateError as problem:
        return Fate(
            message=message,
            status=Status.SKIPPED,
            reason=problem.reason,
            values=problem.values,
            answers=decision.answers,
        )
    message.lease_until = batch.now + ledger.LEASE
    letters.append((message, composed))
    return Fate(
        message=message,
        status=Status.SENDING,
        answers=decision.answers,
        consent_record_id=decision.basis.record_id,
        legal_basis=decision.basis.basis,
    )


def _compose(message: Message, batch: gate.Batch) -> Composed:
    return composition.compose(
        message,
        text=batch.texts[message.template_version_id or 0],
        values=context.build(message, carts=batch.carts),
        now=batch.now,
        is_tracked=message.pk in batch.tracked,
    )


# --- what comes back ------------------------------------------------------------------------------


def _result(message: Message, answer: Answer, now: datetime) -> Result:
    if answer.outcome is Outcome.ACCEPTED:
        return Result(message, Status.SENT, now, provider_id=answer.provider_id)
    values = {"answer": answer.detail}
    if answer.outcome is Outcome.UNKNOWN:
        logger.warning("Message %s is in doubt (%s).", message.public_id, answer.detail)
        return Result(message, Status.IN_DOUBT, now, "outcome_unknown", values)
    if answer.outcome is Outcome.REJECTED:
        return Result(message, Status.FAILED, now, "rejected", values, failures=1)
    if answer.outcome is Outcome.THROTTLED:
        due_at = now + timedelta(seconds=answer.retry_after)
        return Result(message, Status.QUEUED, now, "throttled", values, due_at=due_at)
    if answer.outcome is Outcome.UNREACHABLE:
        return _wait_for_server(message, answer, now)
    return _try_later(message, answer, now)


def _wait_for_server(message: Message, answer: Answer, now: datetime) -> Result:
    """Back off, for as long as it takes: it says nothing about this message."""
    tries = 1
    if message.reason == UNREACHABLE:
        tries += message.reason_values.get("tries", 0)
    values = {"answer": answer.detail, "tries": tries}
    return Result(message, Status.QUEUED, now, UNREACHABLE, values, due_at=now + back_off(tries))


def _try_later(message: Message, answer: Answer, now: datetime) -> Result:
    """Back off; a message that is refused again and again is given up."""
    failures = message.failure_count + 1
    values = {"answer": answer.detail, "failures": failures}
    if failures >= MAX_FAILURES:
        return Result(message, Status.FAILED, now, "refused_too_often", values, failures=1)
    due_at = now + back_off(failures)
    return Result(message, Status.QUEUED, now, "refused", values, due_at=due_at, failures=1)


def back_off(failures: int) -> timedelta:
    """One minute after the first failure, then twice as long each time, up to an hour."""
    doublings = min(failures - 1, 10)
    return min(timedelta(minutes=1 << doublings), MAX_BACK_OFF)
