"""Addresses that are never written to."""

from django.db import models

from apps.core.models import Personal


class Suppression(Personal):
    """An address that is never written to, kept as a keyed hash so that it outlives the person."""

    personal_fields = ("email_hash",)

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", "unsubscribed"
        IMPORTED = "imported", "from a list"
        MANUAL = "manual", "by staff"
        ERASED = "erased", "erased on request"
        BOUNCED = "bounced", "hard bounce"
        COMPLAINED = "complained", "spam complaint"

    # Who is silent for one of these may ask for mail again, and gets what has to be confirmed.
    REVOCABLE = (Reason.UNSUBSCRIBED, Reason.ERASED)

    email_hash = models.CharField(max_length=64, unique=True)
    reason = models.CharField(max_length=16, choices=Reason)
    suppressed_at = models.DateTimeField()

    class Meta:
        permissions = [
            ("lift_suppression", "Can write to a suppressed address again"),
            ("lift_complaint", "Can write again to somebody who complained of spam"),
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_display()} {self.email_hash[:8]}"


class LiftedSuppression(Personal):
    """A suppression that staff took away, and why."""

    personal_fields = ("email_hash", "explanation")

    email_hash = models.CharField(max_length=64, db_index=True)
    reason = models.CharField(max_length=16, choices=Suppression.Reason)
    suppressed_at = models.DateTimeField()
    lifted_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=150)
    explanation = models.CharField(max_length=300)

    def __str__(self) -> str:
        return f"{self.get_reason_display()} {self.email_hash[:8]}"
