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
from django.db.models import Max

from apps.consent import policy, preferences
from apps.consent import services as consent
from apps.consent.models import MailPreference, Purpose, Restriction
from apps.events import selectors as events
from apps.messaging import composition, context, registry
from apps.messaging.composition import BadText, Text
from apps.messaging.models import Message
from apps.messaging.registry import Verdict

LATEST = timedelta(hours=48)
WEEK = timedelta(days=7)
# The clocks of two machines differ; a withdrawal from one that runs ahead counts already.
CLOCK_SKEW = timedelta(minutes=1)
PENDING_EVENTS = "pending_events"
Status = Message.Status
# What counts as a mail that somebody got: what went out, and what may have.
GONE = [
    Status.SENDING, Status.SENT, Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED,
    Status.IN_DOUBT,
]  # fmt: skip
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
    wishes: Mapping[int, MailPreference] = field(default_factory=dict)
    owed: frozenset[str] = frozenset()
    bases: dict[int, policy.Decision] = field(default_factory=dict)
    tracked: set[int] = field(default_factory=set)

    def load(self) -> None:
        """Read the texts, the carts and how often people want mail."""
        self.texts = composition.load_texts(
            {pk for message in self.messages if (pk := message.template_version_id)}
        )
        self.carts = context.load_carts(self.messages)
        self.wishes = preferences.lock_wishes({message.contact_id for message in self.messages})
        self.owed = preferences.contract_purposes() if self.wishes else frozenset()

    def wished_about(self) -> Iterator[Message]:
        """Mails to people who want mail more rarely; what a contract owes them is not among it."""
        for message in self.messages:
            if message.contact_id in self.wishes and message.purpose_id not in self.owed:
                yield message


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says of one message, with every answer as it is stored."""

    message: Message
    answers: list[dict[str, Any]]
    refusal: Verdict | None
    basis: policy.Decision


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
        basis=batch.bases[message.pk],
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
    """The legal basis: a record to point at, or a law that waits for a no."""
    matters = {(message.purpose_id, message.topic_id) for message in batch.messages}
    for purpose, topic in sorted(matters, key=str):
        about = [
            message
            for message in batch.messages
            if (message.purpose_id, message.topic_id) == (purpose, topic)
        ]
        contacts = {message.contact_id for message in about}
        decisions = policy.decide(
            contacts=contacts, purpose=purpose, topic=topic, at=batch.now + CLOCK_SKEW
        )
        batch.bases |= {message.pk: decisions[message.contact_id] for message in about}
    return {pk: _judge_consent(decision) for pk, decision in batch.bases.items()}


def _judge_consent(decision: policy.Decision) -> Verdict:
    values = {**decision.values, "record": decision.record_id}
    if not decision.is_allowed:
        return Verdict(is_allowed=False, reason=decision.reason, values=values)
    if decision.record_id is None and decision.basis != policy.OPT_OUT:
        return Verdict(is_allowed=False, reason="no_consent_record", values=values)
    return Verdict(is_allowed=True, reason=decision.reason, values=values)


def _ask_restriction(batch: Batch) -> dict[int, Verdict]:
    """Whose data may be kept and not used gets nothing."""
    people = {message.contact_id for message in batch.messages}
    since = dict(Restriction.objects.filter(contact__in=people).values_list("contact", "since"))
    return {
        message.pk: Verdict(
            is_allowed=False,
            reason="restricted",
            values={"since": since[message.contact_id].isoformat()},
        )
        for message in batch.messages
        if message.contact_id in since
    }


def _ask_pause(batch: Batch) -> dict[int, Verdict]:
    """Who wants no mail for a while gets none, and none of it later."""
    verdicts: dict[int, Verdict] = {}
    for message in batch.wished_about():
        wish = batch.wishes[message.contact_id]
        if wish.paused_until and wish.is_paused(batch.now):
            values = {"paused_until": wish.paused_until.isoformat()}
            verdicts[message.pk] = Verdict(is_allowed=False, reason="paused", values=values)
    return verdicts


def _ask_frequency(batch: Batch) -> dict[int, Verdict]:
    """Who wants one mail a week gets one; of two in one batch the second is judged again later."""
    weekly = {pk for pk, wish in batch.wishes.items() if wish.is_weekly}
    if not weekly:
        return {}
    last = _last_mails(weekly, since=batch.now - WEEK)
    taken: set[int] = set()
    verdicts: dict[int, Verdict] = {}
    for message in batch.wished_about():
        if message.contact_id not in weekly:
            continue
        if at := last.get(message.contact_id):
            values = {"last_mail_at": at.isoformat()}
            verdicts[message.pk] = Verdict(is_allowed=False, reason="weekly_limit", values=values)
        elif message.contact_id in taken:
            verdicts[message.pk] = Verdict(
                is_allowed=False, reason="weekly_limit", values={}, is_final=False
            )
        taken.add(message.contact_id)
    return verdicts


def _last_mails(contact_ids: set[int], *, since: datetime) -> dict[int, datetime]:
    """When these people last got a mail, or may have got one, since then."""
    gone = Message.objects.filter(
        contact__in=contact_ids,
        # Read by the index; nothing goes out that waited longer.
        queued_at__gte=since - LATEST,
        gated_at__gt=since,
        status__in=GONE,
    )
    newest = gone.values("contact_id").annotate(at=Max("gated_at"))
    return {row["contact_id"]: row["at"] for row in newest}


def _ask_tracking(batch: Batch) -> dict[int, Verdict]:
    """Whether opens and clicks may be recorded; the mail goes either way."""
    contacts = {message.contact_id for message in batch.messages}
    decisions = policy.decide(
        contacts=contacts, purpose=Purpose.OPEN_TRACKING, at=batch.now + CLOCK_SKEW
    )
    batch.tracked = {
        message.pk for message in batch.messages if decisions[message.contact_id].is_allowed
    }
    return {
        message.pk: Verdict(is_allowed=True, values=_tracking_values(decisions[message.contact_id]))
        for message in batch.messages
    }


def _tracking_values(decision: policy.Decision) -> dict[str, Any]:
    return {
        "is_tracked": decision.is_allowed,
        "because": decision.reason or decision.basis,
        "jurisdiction": decision.values.get("jurisdiction", ""),
        "record": decision.record_id,
    }


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
    ("restriction", _ask_restriction),
    ("consent", _ask_consent),
    ("tracking", _ask_tracking),
    ("pause", _ask_pause),
    ("frequency", _ask_frequency),
]
WHAT: list[Check] = [
    ("template", _ask_text),
    ("cart", _ask_cart),
    ("lateness", _ask_lateness),
]
