"""Consents, given and taken back the way the product does it."""

from datetime import datetime
from typing import Any

import factory
from factory.django import DjangoModelFactory

from apps.consent import services
from apps.consent.models import ConsentRecord, ConsentState, SignupForm, Status, Topic
from apps.contacts.models import Contact


def grant(contact: Contact, purpose: str, now: datetime) -> ConsentRecord:
    """Let a contact allow a purpose; return the record that proves it."""
    return say(contact, purpose, Status.GRANTED, now)


def deny(contact: Contact, purpose: str, now: datetime) -> ConsentRecord:
    """Let a contact refuse a purpose, or take it back; return the record."""
    return say(contact, purpose, Status.DENIED, now)


def say(
    contact: Contact, purpose: str, status: str, now: datetime, topic: str | None = None
) -> ConsentRecord:
    statement = services.Statement(
        contact_id=contact.pk,
        purpose=purpose,
        topic=topic,
        status=status,
        method=ConsentRecord.Method.FORM,
        source="tests",
    )
    services.record_consents(statements=[statement], now=now)
    states = ConsentState.objects.select_related("record")
    return states.get(contact=contact, purpose=purpose, topic=topic).record


class TopicFactory(DjangoModelFactory):
    class Meta:
        model = Topic
        django_get_or_create = ["key"]

    key = factory.Sequence(lambda number: f"topic-{number}")
    name = factory.LazyAttribute(lambda topic: topic.key.capitalize())


class SignupFormFactory(DjangoModelFactory):
    """A form that asks for confirmation; `topics` are the keys of what it offers."""

    class Meta:
        model = SignupForm
        skip_postgeneration_save = True

    name = factory.Sequence(lambda number: f"Tea news {number}")

    @factory.post_generation
    def topics(self, create: bool, extracted: list[str] | None, **_: Any) -> None:
        self.topics.set([TopicFactory(key=key) for key in extracted or []])
