"""Numbers, durations and stored values as people read them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.core.clock import BadInstant, parse_instant

_SIZES = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def roughly(duration: timedelta) -> str:
    """The largest whole unit: “3 minutes”, “2 hours”, “5 days”."""
    seconds = int(duration.total_seconds())
    for noun, size in _SIZES:
        if seconds >= size:
            return counted(seconds // size, noun)
    return counted(max(seconds, 0), "second")


def counted(count: int, noun: str, *, limit: int | None = None) -> str:
    """“1 mail”, “3 mails”, “1,000+ mails” where counting stopped at the limit."""
    return f"{up_to(count, limit)} {noun if count == 1 else f'{noun}s'}"


def up_to(count: int, limit: int | None) -> str:
    """The count, or “1,000+” where counting stopped at the limit."""
    return f"{limit:,}+" if limit is not None and count > limit else f"{count:,}"


def spelled(name: str) -> str:
    """A stored word as a sentence writes it: first_name, “first name”."""
    return name.replace("_", " ").strip()


def told(value: Any) -> str:
    """One stored value in a line of text."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return _as_instant(value) or value
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str, indent=1)


def rows_of(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Stored values as lines of a table: what each is called, and what it is."""
    return [(spelled(str(name)), told(value)) for name, value in values.items()]


def _as_instant(text: str) -> str:
    """Our own way to write a time that was stored as text; empty for any other text."""
    if len(text) < len("2026-03-02T12:00") or text[10:11] != "T":
        return ""
    try:
        return moment(parse_instant(text))
    except BadInstant:
        return ""


def moment(at: datetime) -> str:
    """“2 Mar 2026, 12:00:05 UTC”: exact, and the same for everybody who talks about it."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M:%S} UTC"


def masked(email: str) -> str:
    """Show enough of an address for its owner to know it: a…@example.com."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}…@{domain}" if domain else ""
