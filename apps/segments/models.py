"""Named groups of contacts."""

from django.db import models

from apps.core.models import TimeStamped


class Segment(TimeStamped):
    """Everyone who meets a condition."""

    key = models.SlugField(max_length=60, unique=True, help_text="As conditions name it.")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    condition = models.JSONField(help_text="Who qualifies, in the condition language.")

    def __str__(self) -> str:
        return self.name
