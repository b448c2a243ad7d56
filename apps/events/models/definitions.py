"""The tracking plan: which events there are, what they hold, and what came that doesn't fit."""

from typing import Any

from django.db import models
from django.db.models import Q

from apps.core.models import TimeStamped
from apps.events.models.log import Source


class EventDefinition(TimeStamped):
    """One event of the tracking plan."""

    class Choice(models.TextChoices):
        ACCEPT = "accept", "accept"
        FLAG = "flag", "flag"
        REJECT = "reject", "reject"

    class Origin(models.TextChoices):
        BUILT_IN = "built_in", "built in"
        LEARNED = "learned", "learned from traffic"
        BY_HAND = "by_hand", "by hand"

    # What
    name = models.CharField(
        max_length=200, unique=True, help_text="As your shop sends it, such as Order Completed."
    )
    description = models.TextField(blank=True, help_text="When it is sent; for your colleagues.")
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.BY_HAND, editable=False)
    source = models.ForeignKey(
        Source, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )

    # What it holds
    schema = models.JSONField(
        "rules",
        default=dict,
        blank=True,
        help_text="A JSON Schema of its properties. Without one nothing is checked. Properties it "
        "doesn't name may come too.",
    )
    seen_properties = models.JSONField(default=dict, blank=True, editable=False)
    natural_key = models.CharField(
        max_length=100,
        blank=True,
        help_text="The property that is another one each time it really happens, such as order_id. "
        "Told twice, by the browser and by the server, it counts once.",
    )

    # What becomes of it
    choice = models.CharField(
        "if it breaks the rules",
        max_length=10,
        choices=Choice,
        default=Choice.ACCEPT,
        help_text="Accept: it takes effect, and the mistake is counted. Flag: the mistake is also "
        "noted at the event itself. Reject: it takes no effect and is kept among the rejected "
        "events; mails to its person don't wait for it.",
    )

    # When
    first_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "event definition"
        constraints = [
            models.CheckConstraint(
                condition=~Q(name=""),
                name="event_definition_has_a_name",
                violation_error_message="Give the event's name.",
            )
        ]
        indexes = [
            # Read by definitions.learn(): how many names each source has brought.
            models.Index(
                fields=["source"],
                condition=Q(origin="learned"),
                name="definition_learned_by_source",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def rules(self) -> dict[str, Any]:
        """What its schema says of each property."""
        found = self.schema.get("properties") if isinstance(self.schema, dict) else None
        return found if isinstance(found, dict) else {}


class EventViolation(models.Model):
    """How often one rule was broken on one day. The samples say where, and never a value."""

    definition = models.ForeignKey(EventDefinition, models.CASCADE, related_name="violations")
    day = models.DateField()
    property = models.CharField(max_length=200)
    reason = models.CharField(max_length=40)
    count = models.PositiveBigIntegerField()
    samples = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["definition", "day", "property", "reason"], name="violation_once_a_day"
            )
        ]
        indexes = [
            # Read by the tracking health page, and where old days are let go.
            models.Index(fields=["day"], name="violation_by_day")
        ]

    def __str__(self) -> str:
        return f"{self.property}: {self.reason}"
