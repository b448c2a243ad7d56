"""The last question before a mail leaves: may this message go to this person, now?

All checks are asked of a whole batch and all answers are kept, also those after a refusal. The
question for unprocessed events comes first: whatever the later checks read is then at least as new
as every event acknowledged before it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.consent import policy
from apps.consent import services as consent
from apps.events import selectors as events
from apps.messaging import composition, context, registry
from apps.messaging.composition import BadText, Text
from apps.messaging.models import Message
from apps.messaging.registry import Verdict

LATEST = timedelta(hours=48)
# The clocks of two machines differ; a withdrawal from one that runs ahead counts already.
CLOCK_SKEW = timedelta(minutes=1)
PENDING_EVENTS = "pending_events"
YES = Verdict(is_allowed=True)


@dataclass(slots=True)
class Batch:
    """Messages at the gate, their contacts loaded, with all that checks and rendering read.

    `pending` is the answer to with_pending_events(), asked before messages and contacts were read.
    """

    messages: Sequence[Message]
    now: datetime
    pending: set[int]
    texts: Mapping[int, Text | BadText] = field(default_factory=dict)
    carts: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    consent_records: dict[int, int] = field(default_factory=dict)

    def load(self) -> None:
        """Read the texts and carts."""
        self.texts = composition.load_texts(
            {pk for message in self.messages if (pk := message.template_version_id)}
        )
        self.carts = context.load_carts(self.messages)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says of one message, with every answer as it is stored."""

    message: Message
    answers: list[dict[str, Any]]
    refusal: Verdict | None
    consent_record_id: int | None


def judge(batch: Batch) -> list[Decision]:
    """Ask every check about every message. Call inside the transaction that acts on the answers."""
    batch.load()
    answers = [
        *_ask(WHO, batch),
        *((check.name, check.ask(list(batch.messages), batch.now)) for check in registry.checks()),
        *_ask(WHAT, batch),
    ]
    return [_decide(message, answers, batch) for message in batch.messages]


def _ask(checks: "list[Check]", batch: Batch) -> Iterator[tuple[str, Mapping[int, Verdict]]]:
    return ((name, ask(batch)) for name, ask in checks)


def _decide(
    message: Message, answers: list[tuple[str, Mapping[int, Verdict]]], batch: Batch
) -> Decision:
    asked = [(name, by_message.get(message.pk, YES)) for name, by_message in answers]
    refusals = [verdict for _, verdict in asked if not verdict.is_allowed]
    return Decision(
        message=message,
        answers=[_as_stored(name, verdict) for name, verdict in asked],
        refusal=refusals[0] if refusals else None,
        consent_record_id=batch.consent_records.get(message.pk),
    )


def _as_stored(name: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "check": name,
        "is_allowed": verdict.is_allowed,
        "reason": verdict.reason,
        "values": verdict.values or {},
    }


# --- the checks -----------------------------------------------------------------------------------


def with_pending_events(contact_ids: set[int]) -> set[int]:
    """Those who have an acknowledged event that is not worked in yet."""
    return events.contacts_with_pending(contact_ids)


def _ask_pending(batch: Batch) -> dict[int, Verdict]:
    no = Verdict(is_allowed=False, reason=PENDING_EVENTS, is_final=False)
    return {
        message.pk: no if message.contact_id in batch.pending else YES for message in batch.messages
    }


def _ask_address(batch: Batch) -> dict[int, Verdict]:
    return {message.pk: _judge_address(message.contact.email) for message in batch.messages}


def _judge_address(email: str | None) -> Verdict:
    if not email:
        return Verdict(is_allowed=False, reason="no_address")
    try:
        validate_email(email)
    except ValidationError:
        return Verdict(is_allowed=False, reason="invalid_address", values={"email": email})
    return Verdict(is_allowed=True, values={"email": email})


def _ask_suppression(batch: Batch) -> dict[int, Verdict]:
    emails = {message.contact.email for message in batch.messages if message.contact.email}
    suppressed = consent.suppressed_among(emails)
    no = Verdict(is_allowed=False, reason="suppressed")
    return {
        message.pk: no if message.contact.email in suppressed else YES for message in batch.messages
    }


def _ask_consent(batch: Batch) -> dict[int, Verdict]:
    """The legal basis; without a record to point at, nothing goes out."""
    verdicts: dict[int, Verdict] = {}
    for purpose in sorted({message.purpose_id for message in batch.messages}):
        about = [message for message in batch.messages if message.purpose_id == purpose]
        contacts = {message.contact_id for message in about}
        decisions = policy.decide(contacts=contacts, purpose=purpose, at=batch.now + CLOCK_SKEW)
        for message in about:
            decision = decisions[message.contact_id]
            verdicts[message.pk] = _judge_consent(decision)
            if decision.record_id is not None:
                batch.consent_records[message.pk] = decision.record_id
    return verdicts


def _judge_consent(decision: policy.Decision) -> Verdict:
    values = {**decision.values, "record": decision.record_id}
    if not decision.is_allowed:
        return Verdict(is_allowed=False, reason=decision.reason, values=values)
    if decision.record_id is None:
        return Verdict(is_allowed=False, reason="no_consent_record", values=values)
    return Verdict(is_allowed=True, reason=decision.reason, values=values)


def _ask_text(batch: Batch) -> dict[int, Verdict]:
    return {message.pk: _judge_text(message, batch) for message in batch.messages}


def _judge_text(message: Message, batch: Batch) -> Verdict:
    text = batch.texts[message.template_version_id or 0]
    if isinstance(text, BadText):
        return Verdict(is_allowed=False, reason=text.problem.reason, values=text.problem.values)
    values = {"template": text.key, "version": message.template_version_id}
    return Verdict(is_allowed=True, values=values)


def _ask_cart(batch: Batch) -> dict[int, Verdict]:
    """A mail about a cart needs something in it that can still be bought."""
    return {
        message.pk: _judge_cart(key, batch.carts.get(key))
        for message in batch.messages
        if (key := message.context.get("cart_key"))
    }


def _judge_cart(key: str, cart: Mapping[str, Any] | None) -> Verdict:
    count = len(cart["items"]) if cart else 0
    values = {"cart": key, "available_items": count}
    reason = "" if count else "nothing_available"
    return Verdict(is_allowed=count > 0, reason=reason, values=values)


def _ask_lateness(batch: Batch) -> dict[int, Verdict]:
    return {message.pk: _judge_lateness(message, batch.now) for message in batch.messages}


def _judge_lateness(message: Message, now: datetime) -> Verdict:
    is_late = now - message.queued_at > LATEST
    hours = round((now - message.queued_at) / timedelta(hours=1), 1)
    values = {"hours_waited": hours, "hours_allowed": LATEST / timedelta(hours=1)}
    return Verdict(is_allowed=not is_late, reason="too_late" if is_late else "", values=values)


Check = tuple[str, Callable[[Batch], dict[int, Verdict]]]

# The first "no" is the reason that is told: so whether we may write to this person at all comes
# first, then what the floors above say (they have ordered, …), then whether the mail is any good.
WHO: list[Check] = [
    (PENDING_EVENTS, _ask_pending),
    ("address", _ask_address),
    ("suppression", _ask_suppression),
    ("consent", _ask_consent),
]
WHAT: list[Check] = [
    ("template", _ask_text),
    ("cart", _ask_cart),
    ("lateness", _ask_lateness),
]
