"""What keeps one order one order, and the day's numbers."""

from django.db import models

from apps.events.models.log import Source


class NaturalKey(models.Model):
    """An event that counts, found by what it is about: whoever tells it again tells a duplicate."""

    fingerprint = models.UUIDField(help_text="A keyed hash of the event's name and its key.")
    event_id = models.BigIntegerField()
    received_at = models.DateTimeField(help_text="When the event came; leads to its partition.")
    has_browser = models.BooleanField(help_text="Whether a browser has told it.")
    has_server = models.BooleanField(help_text="Whether a server has told it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["fingerprint", "event_id"], name="natural_key_once")
        ]
        indexes = [
            # Read by duplicates.forget(), daily.
            models.Index(fields=["received_at"], name="natural_key_by_time")
        ]

    def __str__(self) -> str:
        return str(self.event_id)


class EventCount(models.Model):
    """What came from one source on one day, by kind and name; written by the pipeline itself."""

    day = models.DateField(help_text="In UTC, by when the events came.")
    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    type = models.CharField(
        max_length=10,
        help_text="The event’s type; repeat for what came twice, rejected for what breaks rules.",
    )
    name = models.CharField(
        max_length=200, blank=True, help_text="Empty where the tracking plan has no such name."
    )

    event_count = models.PositiveBigIntegerField(default=0)
    identified_count = models.PositiveBigIntegerField(default=0)
    server_count = models.PositiveBigIntegerField(default=0)
    late_count = models.PositiveBigIntegerField(default=0)
    campaign_count = models.PositiveBigIntegerField(default=0)
    allowed_count = models.PositiveBigIntegerField(default=0)
    refused_count = models.PositiveBigIntegerField(default=0)
    violation_count = models.PositiveBigIntegerField(default=0)
    # Of the keys that were new: who told them first, and which of them the other side told too.
    browser_key_count = models.PositiveBigIntegerField(default=0)
    server_key_count = models.PositiveBigIntegerField(default=0)
    browser_joined_count = models.PositiveBigIntegerField(default=0)
    server_joined_count = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField(help_text="When the last of them came.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day", "source", "type", "name"], name="event_count_once_a_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.name or self.type}"
