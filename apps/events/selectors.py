"""Reads about the inbox, and of the log for the pages."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Coalesce

from apps.contacts.models import Identity
from apps.core.pages import model_url
from apps.core.pseudonyms import as_stored
from apps.core.registry import Lag
from apps.events import wording
from apps.events.models import (
    Event,
    EventDefinition,
    EventViolation,
    InboxEvent,
    RejectedEvent,
)

_PENDING = """
WITH person (contact_id, key) AS (
    SELECT contact_id,
        CASE kind WHEN 'user_id' THEN 'u:' WHEN 'email' THEN 'e:' ELSE 'a:' END || value
    FROM contacts_identity WHERE contact_id = ANY(%(ids)s::bigint[])
    UNION ALL
    SELECT id, 'c:' || id FROM unnest(%(ids)s::bigint[]) AS id
    UNION ALL
    SELECT merged_into_id, 'c:' || id FROM contacts_contact
    WHERE merged_into_id = ANY(%(ids)s::bigint[])
    UNION ALL
    SELECT id, 'u:' || external_id FROM contacts_contact
    WHERE id = ANY(%(ids)s::bigint[]) AND external_id IS NOT NULL
    UNION ALL
    SELECT id, 'e:' || email FROM contacts_contact
    WHERE id = ANY(%(ids)s::bigint[]) AND email IS NOT NULL
)
SELECT contact_id FROM person
JOIN events_inboxevent AS event ON event.person_keys @> ARRAY[person.key]::varchar[]
UNION
SELECT contact_id FROM person
JOIN events_rejectedevent AS event ON event.person_keys @> ARRAY[person.key]::varchar[]
    AND event.reason = 'processing_failed' AND event.replayed_at IS NULL
"""


def contacts_with_pending(contact_ids: Collection[int]) -> set[int]:
    """Return those of whom an acknowledged event has not taken effect, under any of their names.

    An event that is being processed right now still counts: its row is there until the commit.
    One that failed counts until it is replayed: it may have been the purchase.
    """
    if not contact_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_PENDING, {"ids": list(contact_ids)})
        return {contact_id for (contact_id,) in cursor.fetchall()}


def inbox_lag(now: datetime) -> Lag:
    """How many acknowledged events wait, and for how long the oldest of them."""
    waits_since = Coalesce("replayed_at", "received_at")
    found = InboxEvent.objects.aggregate(count=Count("pk"), oldest=Min(waits_since))
    age = now - found["oldest"] if found["oldest"] else timedelta()
    return Lag(due_count=found["count"], oldest_age=max(age, timedelta()))


# --- for the pages of the admin -----------------------------------------------------------------

# So far back the index page looks for events that somebody should see to.
NEWEST_REJECTED = 10_000
MAX_NAMES = 50


def count_open_rejected() -> int:
    """How many of the newest rejected events nobody has replayed."""
    newest = RejectedEvent.objects.order_by("-rejected_at")[:NEWEST_REJECTED]
    return list(newest.values_list("replayed_at", flat=True)).count(None)


def has_events() -> bool:
    """Whether a source has sent anything that arrived, or still waits."""
    return InboxEvent.objects.exists() or Event.objects.filter(source__is_internal=False).exists()


def event_names(contact_id: int) -> list[str]:
    """What one contact has done, by name."""
    names = Event.objects.about(contact_id).exclude(name="").values_list("name", flat=True)
    return list(names.order_by("name").distinct()[:MAX_NAMES])


def keys_of(name: str) -> list[str]:
    """How the inbox and rejected events call whoever goes by this name."""
    term = name.strip()
    return [f"u:{term}", f"e:{term.lower()}", f"a:{as_stored(term)}"]


def events_of(name: str) -> QuerySet[Event]:
    """Events of whoever goes by this name: an address, a user ID or a browser's ID."""
    term = name.strip()
    kinds = list(Identity.Kind)
    browser = as_stored(term)
    known = Identity.objects.filter(kind__in=kinds, value__in={term, term.lower(), browser})
    contacts = list(known.values_list("contact_id", flat=True).distinct())
    if contacts:
        return Event.objects.filter(contact_id__in=contacts)
    return Event.objects.filter(contact=None, anonymous_id=browser)


# --- of the tracking plan -----------------------------------------------------------------------

NEWEST_VIOLATIONS = 20


@dataclass(frozen=True)
class Property:
    """One property of an event: what the rules say, and what was seen."""

    name: str
    rule: str
    seen: str
    is_required: bool
    is_key: bool


def properties_of(definition: EventDefinition) -> list[Property]:
    """What an event may hold and has held, by name."""
    rules, seen = definition.rules, definition.seen_properties
    required = definition.schema.get("required") if isinstance(definition.schema, dict) else None
    return [
        Property(
            name=name,
            rule=_rule_in_words(rules.get(name)),
            seen=", ".join(seen.get(name, [])),
            is_required=isinstance(required, list) and name in required,
            is_key=name == definition.natural_key,
        )
        for name in sorted(rules.keys() | seen.keys())
    ]


def _rule_in_words(rule: object) -> str:
    if not isinstance(rule, dict):
        return ""
    told = rule.get("type", "anything")
    words = " or ".join(map(str, told)) if isinstance(told, list) else str(told)
    rest = sorted(rule.keys() - {"type", "title", "description"})
    return f"{words} ({', '.join(rest)})" if rest else words


@dataclass(frozen=True)
class Mistake:
    """One broken rule of one day, with links to events that broke it."""

    violation: EventViolation
    words: str
    samples: list[tuple[str, str]]


def newest_violations(definition: EventDefinition) -> list[Mistake]:
    """What broke the rules last."""
    rows = definition.violations.order_by("-day", "-count", "id")[:NEWEST_VIOLATIONS]
    return [
        Mistake(
            row,
            wording.violation_in_words(row.property, row.reason),
            [_sample(one) for one in row.samples if isinstance(one, dict)],
        )
        for row in rows
    ]


def _sample(sample: dict[str, Any]) -> tuple[str, str]:
    """The address of an event that broke a rule, and what was found there."""
    if "rejected" in sample:
        url = model_url(RejectedEvent, "change", sample["rejected"])
    else:
        url = model_url(Event, "change", sample.get("event", 0))
    return url, sample.get("found") or "look"
