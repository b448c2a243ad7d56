"""Whose law holds where, and what it asks for."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from apps.consent.models.purposes import Purpose


class Jurisdiction(models.Model):
    """The places that one law covers."""

    key = models.CharField(
        primary_key=True, max_length=10, help_text="As records name it, for example EU."
    )
    name = models.CharField(max_length=80)
    law = models.CharField(max_length=200, blank=True, help_text="For example GDPR, ePrivacy.")
    countries = ArrayField(
        models.CharField(max_length=2),
        default=list,
        blank=True,
        help_text="Two letters each, separated by commas: DE, FR, IT.",
    )
    regions = ArrayField(
        models.CharField(max_length=40),
        default=list,
        blank=True,
        help_text="States that have a law of their own, with their country before: US-CA. A state "
        "counts before its country.",
    )
    is_fallback = models.BooleanField(
        "for everybody else",
        default=False,
        help_text="Holds where nobody knows where a person lives. Exactly one does.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_fallback"],
                condition=Q(is_fallback=True),
                name="jurisdiction_one_fallback",
                violation_error_message="Another jurisdiction already holds for everybody else.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class JurisdictionRule(models.Model):
    """Whether one purpose needs a yes there, or goes until a no."""

    class Mode(models.TextChoices):
        OPT_IN = "opt_in", "only after a yes"
        OPT_OUT = "opt_out", "until a no"

    jurisdiction = models.ForeignKey(Jurisdiction, models.CASCADE, related_name="rules")
    purpose = models.ForeignKey(Purpose, models.CASCADE, related_name="+")
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.OPT_IN)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["jurisdiction", "purpose"],
                name="jurisdiction_one_rule_per_purpose",
                violation_error_message="There is a rule for this purpose already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.purpose_id}: {self.get_mode_display()}"
