"""What staff wants to know of every contact, beside what the product asks for itself."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

from apps.core.models import TimeStamped


class ContactField(TimeStamped):
    """One thing that is known of contacts, and its type; the values are in their attributes."""

    class Kind(models.TextChoices):
        TEXT = "text", "text"
        NUMBER = "number", "number"
        BOOLEAN = "boolean", "yes or no"
        DATE = "date", "date"
        DATETIME = "datetime", "date and time"
        CHOICE = "choice", "one of a list"
        LIST = "list", "several of a list"
        URL = "url", "web address"

    # What it is called
    key = models.CharField(
        max_length=60,
        unique=True,
        validators=[
            RegexValidator(r"^[A-Za-z][A-Za-z0-9_-]*$", "Only letters, digits, - and _, no spaces.")
        ],
        help_text="As events, files, segments and templates call it, for example favorite_tea. It "
        "can't be changed later.",
    )
    label = models.CharField(max_length=80, help_text="What you read on pages: Favorite tea.")
    help_text = models.CharField(
        "hint", max_length=200, blank=True, help_text="Shown below the field where it is edited."
    )
    order = models.PositiveSmallIntegerField(default=100, help_text="Lower is shown first.")

    # What it may hold
    kind = models.CharField(
        "type",
        max_length=10,
        choices=Kind,
        default=Kind.TEXT,
        help_text="What events and files tell is turned into it. What doesn't fit is left out, and "
        "the event or the report says so.",
    )
    choices = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="One in a line, for the types with a list. Several of an empty list: any words.",
    )

    class Meta:
        verbose_name = "contact field"

    def __str__(self) -> str:
        return self.label
