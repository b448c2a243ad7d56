"""Messages, their states, reasons and checks as people read them."""

from collections.abc import Sequence

from apps.contacts.registry import Entry
from apps.core.pages import object_url
from apps.core.wording import roughly
from apps.messaging import registry
from apps.messaging.models import Message

Status = Message.Status

# What each reason means, by the state in which a mail bears it.
BY_STATUS = {
    Status.SKIPPED: {
        "no_address": "there is no e-mail address",
        "invalid_address": "the e-mail address can't be right",
        "suppressed": "the address is kept silent",
        "no_consent": "there is no consent to this kind of mail",
        "consent_withdrawn": "the consent was taken back",
        "erased": "the person was erased",
        "consent_expired": "the consent is too old by now",
        "merged": "two contacts became one, which gets the mail of its other passage",
        "topic_refused": "the person has left this topic out",
        "no_consent_record": "no record proves the consent",
        "nothing_available": "nothing in the cart can be bought any more",
        "restricted": "their data may be kept, and not used",
        "paused": "the person wants no mail for a while",
        "weekly_limit": "the person wants one mail a week at most",
        "too_late": "it waited too long to make sense",
        "no_published_template": "the template has no published text",
        "template_syntax": "the template has a mistake in its Liquid",
        "undefined_variable": "the template shows a variable that has no value here",
        "template_limit": "the template asks for too much",
        "template_values": "a value in the template is of the wrong kind",
        "template_without_link": "the template lacks the link that it is there for",
        "template_styles": "the styles of the template can't be read",
    },
    Status.QUEUED: {
        "pending_events": "an event of this person was not worked in yet",
        "unreachable": "the mail server can't be reached; it is tried again",
        "refused": "the mail server refused for now; it is tried again",
        "throttled": "the mail server asks to slow down; it is tried again",
        "claim_lost": "a worker died before sending; it is tried again",
    },
    Status.FAILED: {
        "rejected": "the mail server rejected it",
        "refused_too_often": "the mail server refused too often",
        "poison": "three workers died of it",
        "provider_failed": "the mail provider took it and could not send it",
        "settled_as_not_sent": "staff found out that it did not go out",
    },
    Status.IN_DOUBT: {
        "outcome_unknown": "the mail server's answer got lost, so it may have gone out",
        "worker_lost": "the worker died while sending, so it may have gone out",
    },
    Status.SENT: {
        "deferred": "the recipient's mail server lets it wait",
        "settled_as_sent": "staff found out that it went out",
    },
    Status.BOUNCED: {
        "bounced": "the address does not exist",
        "soft_bounced": "the mailbox did not take it this time",
    },
    Status.COMPLAINED: {"complained": "the recipient called it spam"},
}
REASONS = {reason: words for group in BY_STATUS.values() for reason, words in group.items()}
TONES = {
    Status.SENT: "good",
    Status.DELIVERED: "good",
    Status.BOUNCED: "danger",
    Status.COMPLAINED: "danger",
    Status.FAILED: "danger",
    Status.IN_DOUBT: "warning",
    Status.SKIPPED: "neutral",
}
_VERBS = {
    Status.QUEUED: "waits to be sent",
    Status.CLAIMED: "is about to be sent",
    Status.SENDING: "is being sent",
    Status.SENT: "was sent",
    Status.DELIVERED: "was delivered",
    Status.BOUNCED: "came back",
    Status.COMPLAINED: "was called spam",
    Status.SKIPPED: "was not sent",
    Status.FAILED: "could not be sent",
    Status.IN_DOUBT: "may have been sent",
}
_ICONS = {
    Status.SKIPPED: "unsubscribe",
    Status.FAILED: "error",
    Status.IN_DOUBT: "contact_support",
    Status.QUEUED: "schedule_send",
    Status.BOUNCED: "undo",
    Status.COMPLAINED: "report",
}
CHECKS = {
    "pending_events": "Everything this person did has been taken into account",
    "address": "There is an e-mail address",
    "suppression": "The address is not kept silent",
    "consent": "The person allowed this kind of mail",
    "tracking": "Opens and clicks are recorded only where that is allowed",
    "restriction": "The person has not had the use of their data restricted",
    "pause": "The person has not paused mail",
    "frequency": "The person does not want mail more rarely",
    "template": "The text can be sent",
    "cart": "Something in the cart can still be bought",
    "lateness": "It is not too late",
}


def reason_in_words(reason: str) -> str:
    """Why a mail was skipped, failed or is held back."""
    known = {**REASONS, **registry.words()}
    return known.get(reason) or reason.replace("_", " ")


def status_with(reason: str) -> Status | None:
    """The state in which a mail bears a reason, as far as it is one of this floor's."""
    return next((status for status, reasons in BY_STATUS.items() if reason in reasons), None)


def check_in_words(name: str) -> str:
    """What a check of the gate asks for."""
    return CHECKS.get(name) or registry.words().get(f"check:{name}") or name.replace("_", " ")


def headline(message: Message) -> str:
    """What became of a mail, and why."""
    reason = f": {reason_in_words(message.reason)}" if message.reason else ""
    return f"{_VERBS[Status(message.status)]}{reason}"


def subject_of(message: Message) -> str:
    """What a mail says first; the name of its template where it never said anything."""
    content = getattr(message, "content", None)
    if content is not None and content.subject:
        return str(content.subject)
    version = message.template_version
    return version.template.name if version else message.step_id or "a mail without text"


def reading_of(message: Message) -> str:
    """For how long a mail was read; nothing where nothing suggests it."""
    reading = getattr(message, "reading", None)
    if reading is None or not reading.duration:
        return ""
    source = "as the mail provider tells" if reading.reported else "estimate"
    return f"about {roughly(reading.duration)} ({source})"


def tone_of(message: Message) -> str:
    return TONES.get(Status(message.status), "neutral")


def tell(messages: Sequence[Message]) -> list[Entry]:
    """Put messages into words; their contents and templates have to be loaded."""
    return [_entry(message) for message in messages]


def _entry(message: Message) -> Entry:
    marks = [message.template_version.template.name] if message.template_version else []
    if message.opened_at:
        marks.append("opened")
    if message.clicked_at:
        marks.append("clicked")
    if read := reading_of(message):
        marks.append(f"read for {read}")
    return Entry(
        title=f"Mail “{subject_of(message)}” {headline(message)}",
        note=" · ".join(marks),
        icon=_ICONS.get(Status(message.status), "mail"),
        tone=tone_of(message),
        url=object_url(message),
        values=message.reason_values,
    )
