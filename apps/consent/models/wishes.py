"""How often people want mail."""

from datetime import datetime

from django.db import models


class MailPreference(models.Model):
    """How often somebody wants mail, beyond what they allow; the gate keeps to it."""

    class Frequency(models.TextChoices):
        ALL = "all", "Every mail"
        WEEKLY = "weekly", "One mail a week at most"

    contact = models.OneToOneField(
        "contacts.Contact", models.CASCADE, primary_key=True, related_name="mail_preference"
    )
    frequency = models.CharField(max_length=16, choices=Frequency, default=Frequency.ALL)
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then no marketing mail goes out."
    )
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.get_frequency_display()

    @property
    def is_weekly(self) -> bool:
        return self.frequency == self.Frequency.WEEKLY

    def is_paused(self, now: datetime) -> bool:
        return self.paused_until is not None and self.paused_until > now
