"""Where events come from and wait, the log of what happened, and what is known of its quality."""

from apps.events.models.definitions import EventDefinition, EventViolation
from apps.events.models.log import (
    PROCESSING_FAILED,
    Event,
    EventQuerySet,
    InboxEvent,
    RejectedEvent,
    Shard,
    Source,
    SourceQuerySet,
    new_message_id,
)
from apps.events.models.quality import EventCount, NaturalKey

__all__ = [
    "PROCESSING_FAILED",
    "Event",
    "EventCount",
    "EventDefinition",
    "EventQuerySet",
    "EventViolation",
    "InboxEvent",
    "NaturalKey",
    "RejectedEvent",
    "Shard",
    "Source",
    "SourceQuerySet",
    "new_message_id",
]
