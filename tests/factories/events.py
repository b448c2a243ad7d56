"""Sources with known keys, and rows of the event log."""

from datetime import UTC
from typing import Any

import factory
from factory.django import DjangoModelFactory

from apps.core.hashing import keyed_hash
from apps.core.pseudonyms import as_stored
from apps.events import partitions
from apps.events.models import Event, EventDefinition, RejectedEvent, Source
from tests.instants import NOON


class SourceFactory(DjangoModelFactory):
    """A source whose keys the test can read: `source.public_key` and `source.secret_key`.

    It sends only what people have allowed, unless a test says otherwise.
    """

    class Meta:
        model = Source

    class Params:
        number = factory.Sequence(lambda number: number)

    name = factory.LazyAttribute(lambda source: f"Shop {source.number}")
    public_key = factory.LazyAttribute(lambda source: f"pk_test_{source.number}")
    secret_key_hash = factory.LazyAttribute(lambda source: keyed_hash(f"sk_test_{source.number}"))
    is_consent_settled = True
    secret_key_hint = factory.LazyAttribute(lambda source: f"…{source.number}")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Source:
        source: Source = super()._create(model_class, *args, **fields)
        source.secret_key = source.public_key.replace("pk_", "sk_", 1)
        return source


class EventFactory(DjangoModelFactory):
    """An event in the log, as if the pipeline had written it."""

    class Meta:
        model = Event

    type = Event.Type.TRACK
    name = "Product Viewed"
    source = factory.SubFactory(SourceFactory)
    message_id = factory.Sequence(lambda number: f"message-{number}")
    is_trusted = True
    received_at = NOON
    occurred_at = factory.SelfAttribute("received_at")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Event:
        received_at = fields["received_at"]
        if browser := fields.get("anonymous_id"):
            fields["anonymous_id"] = as_stored(browser)
        partitions.ensure(months={received_at.astimezone(UTC).date()})
        event: Event = super()._create(model_class, *args, **fields)
        return event


class RejectedEventFactory(DjangoModelFactory):
    """An event that named nobody."""

    class Meta:
        model = RejectedEvent

    source = factory.SubFactory(SourceFactory)
    is_secret = True
    received_at = NOON
    rejected_at = NOON
    message_id = factory.Sequence(lambda number: f"rejected-{number}")
    reason = "no_identifier"
    payload = factory.LazyFunction(lambda: {"type": "track", "event": "Product Viewed"})


class EventDefinitionFactory(DjangoModelFactory):
    """An event of the tracking plan, by hand."""

    class Meta:
        model = EventDefinition

    name = factory.Sequence(lambda number: f"Quiz {number} Finished")
    schema = factory.LazyFunction(lambda: {"properties": {"score": {"type": "number"}}})
