"""What people can be asked for, and in which words."""

import pgtrigger
from django.db import models


class Purpose(models.Model):
    """One thing a person can allow or refuse."""

    EMAIL_MARKETING = "email_marketing"
    TRACKING = "tracking"
    PERSONALISATION = "personalisation"
    OPEN_TRACKING = "open_tracking"
    SALE_OR_SHARING = "sale_or_sharing"

    class Basis(models.TextChoices):
        CONSENT = "consent", "consent"
        CONTRACT = "contract", "contract"
        LEGITIMATE_INTEREST = "legitimate_interest", "legitimate interest"

    key = models.SlugField(
        primary_key=True, max_length=40, help_text="As it is written in events and imports."
    )
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, help_text="What the person is told they allow.")
    lawful_basis = models.CharField(
        max_length=20,
        choices=Basis,
        default=Basis.CONSENT,
        help_text="What you rely on, as your record of processing names it. It is shown with the "
        "purpose; whether a yes is needed first is said by the jurisdictions.",
    )
    validity_months = models.PositiveSmallIntegerField(
        "valid for (months)",
        null=True,
        blank=True,
        help_text="A yes older than this no longer counts where a yes is needed, until the person "
        "says it again. Empty: it lasts until it is taken back.",
    )
    order = models.PositiveSmallIntegerField(default=100, help_text="Lower is shown first.")

    def __str__(self) -> str:
        return self.name


class Topic(models.Model):
    """One kind of marketing mail that a person can choose or leave out."""

    key = models.SlugField(
        primary_key=True, max_length=40, help_text="As it is written in events and imports."
    )
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, help_text="What people read beside the choice.")
    purpose = models.ForeignKey(
        Purpose,
        models.PROTECT,
        default=Purpose.EMAIL_MARKETING,
        related_name="topics",
        help_text="Without this the topic counts for nothing.",
    )
    is_active = models.BooleanField(
        default=True, help_text="While off, nobody is asked about it; what people said still holds."
    )
    order = models.PositiveSmallIntegerField(default=100, help_text="Lower is shown first.")

    def __str__(self) -> str:
        return self.name


class WordingVersion(models.Model):
    """What people were asked, word for word; kept for ever, since records point at it."""

    purpose = models.ForeignKey(Purpose, models.PROTECT, related_name="wordings")
    language = models.CharField(max_length=20, default="en", help_text="For example en or pt-BR.")
    version = models.CharField(
        max_length=40, help_text="Your name for this text, as forms and events tell it: 2026-03."
    )
    text = models.TextField(help_text="Exactly what the person reads beside the choice.")
    text_hash = models.CharField("SHA-256", max_length=64, editable=False)
    is_active = models.BooleanField(
        default=True, help_text="Whether it is shown to people who are asked from now on."
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["purpose", "language", "version"],
                name="wording_version_named_once",
                violation_error_message="This purpose has a text of that version and language.",
            )
        ]
        triggers = [
            pgtrigger.Protect(
                name="wording_version_is_kept",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "purpose", "language", "version", "text", "text_hash", "created_at"
                ),
            ),
            pgtrigger.Protect(name="wording_version_is_never_lost", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.purpose_id} {self.version} ({self.language})"
