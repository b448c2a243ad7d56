"""What people ask for about their data, by when it is due, and what became of it."""

import uuid
from datetime import date, datetime
from typing import Self

import pgtrigger
from django.db import models
from django.db.models import Q

from apps.core.models import Personal

OPEN = Q(status="open")


class PrivacyRequestQuerySet(models.QuerySet["PrivacyRequest"]):
    def open(self) -> Self:
        return self.filter(OPEN)

    def to_be_checked(self, asked_before: datetime) -> Self:
        """Whom no link reaches, or who has not followed it: staff has to find out who asks."""
        is_late = Q(contact__email=None) | Q(received_at__lt=asked_before)
        return self.filter(is_late, status="unverified")

    def overdue(self, today: date) -> Self:
        return self.open().filter(due_on__lt=today)


class PrivacyRequest(Personal):
    """One request of one person under the law that protects them."""

    personal_fields = ("details",)

    class Kind(models.TextChoices):
        EXPORT = "export", "a copy of their data"
        ERASE = "erase", "erasure"
        CORRECT = "correct", "correction"
        RESTRICT = "restrict", "restriction"
        OBJECT = "object", "objection to marketing"
        OPT_OUT = "opt_out", "no sale or sharing"

    class Law(models.TextChoices):
        GDPR = "gdpr", "GDPR (EU, EEA, UK)"
        CCPA = "ccpa", "CCPA (California)"

    class Status(models.TextChoices):
        UNVERIFIED = "unverified", "waits for proof who asks"
        OPEN = "open", "to be done"
        DONE = "done", "done"
        REFUSED = "refused", "refused"
        EXPIRED = "expired", "never confirmed"

    # What, by whom
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    contact = models.ForeignKey("contacts.Contact", models.PROTECT, related_name="privacy_requests")
    kind = models.CharField("asks for", max_length=10, choices=Kind)
    law = models.CharField(max_length=8, choices=Law, default=Law.GDPR)
    details = models.TextField(
        blank=True, help_text="For a correction: what is wrong, and how it is right."
    )

    # Until when
    status = models.CharField(max_length=12, choices=Status, default=Status.OPEN)
    received_at = models.DateTimeField()
    due_on = models.DateField("due", help_text="The last day on which the answer is in time.")
    is_extended = models.BooleanField("extended", default=False)
    extension_reason = models.CharField(max_length=300, blank=True)

    # Who says that it is them
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_by = models.CharField(
        max_length=150, blank=True, help_text="“mail”, or who of staff has checked it."
    )

    # What came of it
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=300, blank=True)
    file_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then the copy can be downloaded."
    )

    objects = PrivacyRequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "kind"],
                condition=Q(status__in=["unverified", "open"]),
                name="privacy_request_one_open_of_a_kind",
                violation_error_message="This person has asked for that already.",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["open", "done"]) | ~Q(verified_at=None),
                name="privacy_request_open_is_verified",
            ),
        ]
        indexes = [
            # Read by the queue.
            models.Index(fields=["status", "due_on"], name="privacy_request_due"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display().capitalize()}, due {self.due_on}"


class PrivacyRequestStep(models.Model):
    """What was done with a request, when, by whom; never changed."""

    request = models.ForeignKey(PrivacyRequest, models.PROTECT, related_name="steps")
    what = models.CharField(max_length=40)
    by = models.CharField(max_length=150, help_text="Staff, “the person” or “Cuepost”.")
    at = models.DateTimeField()

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="privacy_request_step_is_append_only",
                operation=pgtrigger.Update | pgtrigger.Delete,
            )
        ]

    def __str__(self) -> str:
        return self.what


class Restriction(models.Model):
    """Somebody whose data is kept and not used (GDPR Art. 18)."""

    contact = models.OneToOneField(
        "contacts.Contact", models.CASCADE, primary_key=True, related_name="restriction"
    )
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"restricted since {self.since:%Y-%m-%d}"
