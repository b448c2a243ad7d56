"""Reads about the inbox."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Min

from apps.core.registry import Lag
from apps.events.models import InboxEvent

_PENDING = """
WITH person (contact_id, key) AS (
    SELECT contact_id,
        CASE kind WHEN 'user_id' THEN 'u:' WHEN 'email' THEN 'e:' ELSE 'a:' END || value
    FROM contacts_identity WHERE contact_id = ANY(%(ids)s::bigint[])
    UNION ALL
    SELECT id, 'c:' || id FROM unnest(%(ids)s::bigint[]) AS id
    UNION ALL
    SELECT id, 'u:' || external_id FROM contacts_contact
    WHERE id = ANY(%(ids)s::bigint[]) AND external_id IS NOT NULL
    UNION ALL
    SELECT id, 'e:' || email FROM contacts_contact
    WHERE id = ANY(%(ids)s::bigint[]) AND email IS NOT NULL
)
SELECT DISTINCT contact_id FROM person
WHERE EXISTS (
    SELECT 1 FROM events_inboxevent AS event
    WHERE event.person_keys @> ARRAY[person.key]::varchar[]
)
"""


def contacts_with_pending(contact_ids: Collection[int]) -> set[int]:
    """Return those of whom the inbox still holds an event, under any of their names.

    An event that is being processed right now still counts: its row is there until the commit.
    """
    if not contact_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_PENDING, {"ids": list(contact_ids)})
        return {contact_id for (contact_id,) in cursor.fetchall()}


def inbox_lag(now: datetime) -> Lag:
    """How many acknowledged events wait, and for how long the oldest of them."""
    found = InboxEvent.objects.aggregate(count=Count("pk"), oldest=Min("received_at"))
    age = now - found["oldest"] if found["oldest"] else timedelta()
    return Lag(due_count=found["count"], oldest_age=max(age, timedelta()))
