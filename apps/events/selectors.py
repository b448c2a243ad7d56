"""Reads about the inbox, and of the log for the pages."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Coalesce

from apps.contacts.models import Identity
from apps.core.pseudonyms import as_stored
from apps.core.registry import Lag
from apps.events.models import Event, InboxEvent, RejectedEvent

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
