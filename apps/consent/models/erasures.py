"""Who was erased: that it was done, and no longer who."""

from django.db import models
from django.db.models import Q


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def unfinished(self) -> "ErasureQuerySet":
        return self.filter(finished_at=None)


class Erasure(models.Model):
    """One erasure at work or done. It keeps the person's names only until it is through."""

    contact_id = models.BigIntegerField(unique=True)
    names = models.JSONField(
        default=dict, help_text="Under which names there may be more to erase; empty in the end."
    )
    by = models.CharField(max_length=150, help_text="Who of staff did it, or “self-service”.")
    counts = models.JSONField(default=dict, help_text="How many rows of each kind were erased.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ErasureQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at=None) | Q(names={}), name="erasure_done_forgets_the_names"
            )
        ]
        indexes = [
            # Read by beat.
            models.Index(fields=["id"], condition=Q(finished_at=None), name="erasure_unfinished")
        ]

    def __str__(self) -> str:
        return f"Contact {self.contact_id}"
