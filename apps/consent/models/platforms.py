"""Consent platforms of others: how they reach us, and what their signals mean here."""

import secrets

from django.db import models

from apps.consent.models.purposes import Purpose
from apps.core.hashing import keyed_hash
from apps.core.models import TimeStamped

KEY_BYTES = 12


def make_connection_key() -> str:
    return f"cmp_{secrets.token_urlsafe(KEY_BYTES)}"


class CmpConnection(TimeStamped):
    """A consent platform that sends us what people told it."""

    name = models.CharField(max_length=80, help_text="For example the name of the platform.")
    key = models.CharField(max_length=40, unique=True, default=make_connection_key, editable=False)
    secret_version = models.PositiveIntegerField(default=1, editable=False)
    is_active = models.BooleanField(
        "active", default=True, help_text="Switched off, everything it sends is refused."
    )

    class Meta:
        verbose_name = "consent platform"

    def __str__(self) -> str:
        return self.name

    @property
    def secret(self) -> str:
        """Made anew from the installation's own key each time, so that no table holds it."""
        return keyed_hash(f"cmp:{self.key}:{self.secret_version}")


class CmpReceipt(models.Model):
    """One consent that a platform has delivered; the same one again changes nothing."""

    connection = models.ForeignKey(CmpConnection, models.CASCADE, related_name="receipts")
    external_id = models.CharField(max_length=64, help_text="A keyed hash of the platform's ID.")
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "external_id"], name="cmp_receipt_taken_once"
            )
        ]
        indexes = [
            # Read by platforms.forget_receipts().
            models.Index(fields=["received_at"], name="cmp_receipt_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.external_id[:8]}"


class ForeignSignal(models.Model):
    """What one signal of a framework stands for here."""

    class Framework(models.TextChoices):
        TCF = "tcf", "IAB TCF, by number of purpose"
        GOOGLE = "google", "Google Consent Mode"

    framework = models.CharField(max_length=10, choices=Framework)
    signal = models.CharField(
        max_length=40, help_text="1 to 24 for the TCF; ad_storage and its like for Google."
    )
    purpose = models.ForeignKey(
        Purpose,
        models.CASCADE,
        related_name="+",
        help_text="Allowed where every signal that stands for it says yes.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["framework", "signal", "purpose"],
                name="foreign_signal_stands_once_for_a_purpose",
                violation_error_message="This signal stands for this purpose already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_framework_display()} {self.signal}: {self.purpose_id}"
