"""Where events come from, where they wait, and the log of what happened."""

import uuid
from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from apps.core.models import Personal, TimeStamped

PROCESSING_FAILED = "processing_failed"


class SourceQuerySet(models.QuerySet["Source"]):
    def sending(self) -> Self:
        """Sources whose keys are taken."""
        return self.filter(is_active=True, is_internal=False)


class Source(TimeStamped):
    """A website or server that sends events."""

    name = models.CharField(max_length=80, unique=True)
    public_key = models.CharField(
        max_length=64,
        unique=True,
        help_text="For browsers. It may report behavior, never change a known contact.",
    )
    secret_key_hash = models.CharField(max_length=64, unique=True, editable=False)
    secret_key_hint = models.CharField(
        "secret key", max_length=16, editable=False, help_text="Its last characters."
    )
    identity_salt = models.CharField(
        max_length=40,
        blank=True,
        editable=False,
        help_text="Goes into the identity secret; with another one, the secret is another one.",
    )
    is_active = models.BooleanField(
        default=True, help_text="While off, its keys are refused and nothing is stored."
    )
    is_consent_settled = models.BooleanField(
        "consent is settled at the source",
        default=False,
        help_text="On: this website or server sends only what people have allowed, so an event "
        "that says nothing about consent is kept. Off: such an event is kept only where the person "
        "has allowed tracking, or lives where the law waits for a no.",
    )
    is_internal = models.BooleanField(
        default=False, editable=False, help_text="Cuepost itself; nobody holds its keys."
    )

    objects = SourceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_internal"], condition=Q(is_internal=True), name="source_one_internal"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Shard(models.Model):
    """One lane of the pipeline; its row is the lock that keeps each person's events in order."""

    number = models.PositiveSmallIntegerField(primary_key=True)

    def __str__(self) -> str:
        return str(self.number)


class InboxEvent(Personal):
    """An event that was acknowledged and waits for the pipeline."""

    personal_fields = ("person_keys", "payload")

    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    is_secret = models.BooleanField(help_text="Whether it came with the secret key.")
    is_backfill = models.BooleanField(default=False)
    received_at = models.DateTimeField()
    replayed_at = models.DateTimeField(
        null=True, blank=True, help_text="When it came back after a failure; it waits from then on."
    )
    message_id = models.CharField(max_length=100)
    person_keys = ArrayField(
        models.CharField(max_length=260),
        help_text="Everyone it may be about: u:<user id>, a:<anonymous id>, e:<address>.",
    )
    shard = models.PositiveSmallIntegerField()
    payload = models.JSONField()

    class Meta:
        indexes = [
            # Read by pipeline.drain(): the oldest rows of a shard.
            models.Index(fields=["shard", "id"], name="inbox_by_shard"),
            # Read by selectors.contacts_with_pending(), at every gate.
            # Without a pending list, which each search would have to walk through.
            GinIndex(fields=["person_keys"], name="inbox_by_person", fastupdate=False),
        ]

    def __str__(self) -> str:
        return self.message_id


class RejectedEvent(Personal):
    """An acknowledged event that could not be used; it can be replayed once the cause is gone."""

    personal_fields = ("detail", "person_keys", "payload")

    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    is_secret = models.BooleanField()
    is_backfill = models.BooleanField(default=False)
    received_at = models.DateTimeField()
    rejected_at = models.DateTimeField()
    message_id = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=40)
    detail = models.TextField(blank=True)
    person_keys = ArrayField(
        models.CharField(max_length=260),
        default=list,
        blank=True,
        help_text="Everyone it may be about, where it failed after we had taken it.",
    )
    payload = models.JSONField()
    replayed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # Read by the admin list.
            models.Index(fields=["-rejected_at"], name="rejected_event_newest"),
            # Read by selectors.contacts_with_pending(), at every gate.
            GinIndex(
                fields=["person_keys"],
                condition=Q(reason=PROCESSING_FAILED, replayed_at=None),
                name="rejected_by_person",
                fastupdate=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason}: {self.message_id}"


class EventQuerySet(models.QuerySet["Event"]):
    def about(self, contact_id: int) -> Self:
        return self.filter(contact_id=contact_id)

    def anonymous(self, anonymous_ids: list[str], *, since: datetime) -> Self:
        """Events of browsers that nobody has identified in yet."""
        return self.filter(
            contact=None, anonymous_id__in=anonymous_ids, received_at__gte=since
        ).exclude(anonymous_id="")


class Event(Personal):
    """One thing that somebody did.

    The table is range-partitioned by month on `received_at`; its real primary key is
    (id, received_at), and each partition has a unique index on (source, message_id).
    """

    personal_fields = ("anonymous_id", "properties", "context")

    class Type(models.TextChoices):
        TRACK = "track", "track"
        IDENTIFY = "identify", "identify"
        PAGE = "page", "page"
        SCREEN = "screen", "screen"
        GROUP = "group", "group"
        ALIAS = "alias", "alias"
        # Nothing is kept of it but that it came, so that a retry takes no effect.
        DROPPED = "dropped", "dropped"
        # Another event tells the same, and that one counts.
        DUPLICATE = "duplicate", "duplicate"

    # Who
    contact = models.ForeignKey(
        "contacts.Contact", models.CASCADE, null=True, blank=True, related_name="events"
    )
    anonymous_id = models.CharField(max_length=200, blank=True)

    # What
    type = models.CharField(max_length=10, choices=Type)
    name = models.CharField(max_length=200, blank=True)
    properties = models.JSONField(default=dict)
    context = models.JSONField(default=dict)

    # From where
    source = models.ForeignKey(Source, models.PROTECT, related_name="+")
    message_id = models.CharField(max_length=100)
    is_trusted = models.BooleanField(help_text="Whether it came with the secret key.")
    is_backfill = models.BooleanField(default=False)

    # When: by our clock, by the client's clock, and the client's corrected to ours
    received_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    original_at = models.DateTimeField(null=True, blank=True)
    occurred_at = models.DateTimeField()

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [
            # Read by conditions (did, did_not), often it alone, and by the timeline.
            models.Index(
                fields=["contact", "name", "occurred_at"], include=["type"], name="event_by_contact"
            ),
            # Read by EventQuerySet.anonymous(), when a visitor identifies.
            models.Index(
                fields=["anonymous_id", "received_at"],
                condition=Q(contact=None),
                name="event_by_anonymous",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.type


def new_message_id() -> str:
    """An id for an event whose client gave none."""
    return f"cuepost-{uuid.uuid4()}"
