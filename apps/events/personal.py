"""What the event log and its inbox hold about people."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Max, Q

from apps.consent.registry import Fate, Holding, Subject, Table, register_holding
from apps.core.database import text_array
from apps.events.models import Event, EventCount, EventDefinition, InboxEvent, Shard

# What may stay of an event as a count: no text that somebody could have typed.
KEPT = ("product_id", "category", "brand", "currency")

# One batch of a person's events becomes nobody's. What stays is what was counted: the name, the
# time, numbers, and which product. The message id stays too, or a retry would bring all back.
_ERASE = """
WITH chosen AS (
    SELECT id, received_at FROM events_event WHERE contact_id = %(contact_id)s
    UNION ALL
    SELECT id, received_at FROM events_event
    WHERE contact_id IS NULL AND anonymous_id <> '' AND anonymous_id = ANY(%(browsers)s::text[])
    LIMIT %(limit)s
)
UPDATE events_event AS event SET
    contact_id = NULL, anonymous_id = '', context = '{}',
    name = CASE WHEN EXISTS (
        SELECT FROM unnest(%(words)s::text[]) AS word WHERE position(word IN lower(event.name)) > 0
    ) THEN '' ELSE event.name END,
    message_id = CASE WHEN EXISTS (
        SELECT FROM unnest(%(words)s::text[]) AS word
        WHERE position(word IN lower(event.message_id)) > 0
    ) THEN 'erased-' || gen_random_uuid() ELSE event.message_id END,
    properties = (
        SELECT coalesce(jsonb_object_agg(one.key, one.value), '{}')
        FROM jsonb_each(event.properties) AS one
        WHERE event.type = 'track' AND (
            one.key = ANY(%(kept)s::text[]) AND jsonb_typeof(one.value) = 'string'
            AND NOT EXISTS (
                SELECT FROM unnest(%(words)s::text[]) AS word
                WHERE position(word IN lower(one.value #>> '{}')) > 0
            )
            OR jsonb_typeof(one.value) IN ('number', 'boolean') AND one.key !~* 'id$|phone|zip|post'
        )
    )
FROM chosen WHERE event.id = chosen.id AND event.received_at = chosen.received_at
"""
# A client's own mistake may hold a name anywhere; there are never many of these.
_REJECTED = """
DELETE FROM events_rejectedevent WHERE id IN (
    SELECT id FROM events_rejectedevent
    WHERE person_keys && %(keys)s::varchar[] OR EXISTS (
        SELECT FROM unnest(%(words)s::text[]) AS word
        WHERE position(word IN lower(payload::text || detail || message_id)) > 0
    )
    LIMIT %(limit)s
)
"""


def stop(subject: Subject, now: datetime) -> None:
    """What waits for the pipeline is about nobody any more."""
    InboxEvent.objects.filter(person_keys__overlap=subject.person_keys).delete()


def erase(subject: Subject, now: datetime, limit: int) -> int:
    # A batch that was under way may still have known the person: let it come to its end.
    with transaction.atomic():
        list(Shard.objects.select_for_update().order_by("number"))
    InboxEvent.objects.filter(person_keys__overlap=subject.person_keys).delete()
    values: dict[str, Any] = {
        "contact_id": subject.contact_id,
        "browsers": text_array(subject.browsers),
        "words": text_array(subject.words),
        "keys": text_array(subject.person_keys),
        "kept": text_array(KEPT),
        "limit": limit,
    }
    _forget_names(subject.words)
    with connection.cursor() as cursor:
        cursor.execute(_REJECTED, values)
        count = int(cursor.rowcount)
        cursor.execute(_ERASE, values)
        return count + int(cursor.rowcount)


def _forget_names(words: Sequence[str]) -> None:
    """A client may have put its person's name into the name of an event, or of a property."""
    named, shown = Q(), Q()
    for word in words:
        named |= Q(name__icontains=word)
        shown |= Q(seen_properties__icontains=word)
    if words:
        learned = EventDefinition.objects.filter(origin=EventDefinition.Origin.LEARNED)
        learned.filter(named).delete()
        EventDefinition.objects.filter(shown).update(seen_properties={})
        EventCount.objects.filter(named).delete()


def read(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    rows = Event.objects.filter(
        Q(contact_id=subject.contact_id)
        | Q(contact=None, anonymous_id__in=subject.browsers) & ~Q(anonymous_id="")
    )
    for event in rows.select_related("source").order_by("received_at", "id").iterator(500):
        yield {
            "type": event.type,
            "name": event.name,
            "occurred_at": event.occurred_at,
            "received_at": event.received_at,
            "source": event.source.name,
            "browser": event.anonymous_id,
            "message_id": event.message_id,
            "properties": event.properties,
            "context": event.context,
        }


def read_sources(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    """Where the data came from (GDPR Art. 15 (1) g)."""
    rows = Event.objects.filter(contact_id=subject.contact_id).values("source__name")
    for row in rows.annotate(count=Count("pk"), last=Max("received_at")).order_by("source__name"):
        yield {"source": row["source__name"], "events": row["count"], "last_at": row["last"]}


def register() -> None:
    register_holding(
        Holding(
            name="events",
            label="Events",
            order=10,
            fates={
                "events.Source": {
                    Fate.IMPERSONAL: "name public_key secret_key_hash secret_key_hint identity_salt"
                },
                "events.InboxEvent": {Fate.ERASED: "message_id person_keys payload"},
                "events.RejectedEvent": {
                    Fate.ERASED: "message_id detail person_keys payload",
                    Fate.IMPERSONAL: "reason",
                },
                "events.Event": {Fate.ERASED: "anonymous_id name properties context message_id"},
                "events.EventDefinition": {
                    Fate.ERASED: "name seen_properties",
                    Fate.IMPERSONAL: "description schema natural_key",
                },
                "events.EventViolation": {Fate.IMPERSONAL: "property reason samples"},
                "events.EventCount": {Fate.ERASED: "name", Fate.IMPERSONAL: "type"},
                "events.NaturalKey": {Fate.HASHED: "fingerprint"},
            },
            stop=stop,
            erase=erase,
            tables=(
                Table("sources", "Where your data came from", read_sources),
                Table("events", "What you did", read),
            ),
        )
    )
