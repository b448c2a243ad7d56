"""When something happened: the client's clock, corrected by ours."""

from datetime import datetime, timedelta

from apps.core.clock import BadInstant, parse_instant
from apps.events.messages import Message

# A clock may be this far ahead before we stop believing it.
MAX_AHEAD = timedelta(minutes=5)


def told_at(message: Message) -> datetime | None:
    return instant(message.original_timestamp) or instant(message.timestamp)


def instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_instant(value)
    except BadInstant:
        return None


def occurred(
    received_at: datetime, sent_at: datetime | None, told_at: datetime | None
) -> tuple[datetime, str]:
    """Correct the client's clock by ours: it knows how long before sending something happened."""
    if told_at is None:
        return received_at, ""
    try:
        occurred_at = received_at - (sent_at - told_at) if sent_at else told_at
    except OverflowError:
        return received_at, "unreadable"
    if occurred_at > received_at + MAX_AHEAD:
        return received_at, "future"
    return occurred_at, ""
