"""Instants and durations as people and clients write them."""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_DURATION = re.compile(r"^\s*(\d{1,6})\s*(second|minute|hour|day|week)s?\s*$")


class BadDuration(ValueError):
    """The text is not a duration such as "30 minutes"."""


class BadInstant(ValueError):
    """The text is not an ISO 8601 instant."""


def parse_duration(text: str) -> timedelta:
    """Read "30 minutes", "1 hour", "7 days" or "2 weeks"; raise BadDuration."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise BadDuration(
            f"{text!r} is not a duration; write for example “30 minutes” or “7 days”."
        )
    return int(match[1]) * _UNITS[match[2]]


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant into UTC; one without a zone counts as UTC. Raise BadInstant."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as problem:
        raise BadInstant(f"{text!r} is not an ISO 8601 time.") from problem
