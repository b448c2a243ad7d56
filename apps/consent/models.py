"""What each person allowed, with proof."""

import pgtrigger
from django.db import models


class Purpose(models.Model):
    """One thing a person can allow or refuse."""

    EMAIL_MARKETING = "email_marketing"
    TRACKING = "tracking"

    key = models.SlugField(
        primary_key=True, max_length=40, help_text="As it is written in events and imports."
    )
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, help_text="What the person is told they allow.")

    def __str__(self) -> str:
        return self.name


class Status(models.TextChoices):
    GRANTED = "granted", "granted"
    DENIED = "denied", "denied"


class ConsentRecord(models.Model):
    """One statement of one person about one purpose; kept as proof and never changed.

    The records of a contact form a chain: `record_hash` covers the content and the hash before it,
    so a changed or missing record shows.
    """

    class Method(models.TextChoices):
        API = "api", "API"
        BANNER = "banner", "cookie banner"
        FORM = "form", "form"
        IMPORT = "import", "import"
        ONE_CLICK = "one_click", "one-click unsubscribe"
        UNSUBSCRIBE_PAGE = "unsubscribe_page", "unsubscribe page"
        STAFF = "staff", "staff"
        COMPLAINT = "complaint", "spam complaint"

    # Who said what
    contact = models.ForeignKey("contacts.Contact", models.PROTECT, related_name="consent_records")
    purpose = models.ForeignKey(Purpose, models.PROTECT, related_name="+")
    status = models.CharField(max_length=16, choices=Status)

    # How it is known
    method = models.CharField(max_length=20, choices=Method)
    source = models.CharField(max_length=200, blank=True)
    wording_version = models.CharField(max_length=40, blank=True)
    jurisdiction = models.CharField(max_length=10, blank=True)
    evidence = models.JSONField(default=dict, blank=True)
    recorded_at = models.DateTimeField()

    # The chain
    previous_hash = models.CharField(max_length=64, blank=True)
    record_hash = models.CharField(max_length=64, unique=True)

    class Meta:
        indexes = [
            # Read by the contact page and by services.record_consents().
            models.Index(fields=["contact", "-id"], name="consent_record_by_contact"),
        ]
        triggers = [
            pgtrigger.Protect(
                name="consent_record_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete
            )
        ]

    def __str__(self) -> str:
        return f"{self.purpose_id} {self.status}"


class ConsentState(models.Model):
    """What holds now for one contact and purpose: the newest record."""

    contact = models.ForeignKey("contacts.Contact", models.CASCADE, related_name="consents")
    purpose = models.ForeignKey(Purpose, models.PROTECT, related_name="+")
    status = models.CharField(max_length=16, choices=Status)
    record = models.ForeignKey(ConsentRecord, models.PROTECT, related_name="+")
    changed_at = models.DateTimeField()
    denied_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The last no; a yes said before it comes too late.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "purpose"], name="consent_state_one_per_purpose"
            )
        ]

    def __str__(self) -> str:
        return f"{self.purpose_id} {self.status}"


class Suppression(models.Model):
    """An address that is never written to, kept as a keyed hash so that it outlives the person."""

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", "unsubscribed"
        BOUNCED = "bounced", "hard bounce"
        COMPLAINED = "complained", "spam complaint"
        MANUAL = "manual", "by staff"

    email_hash = models.CharField(max_length=64, unique=True)
    reason = models.CharField(max_length=16, choices=Reason)
    suppressed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.get_reason_display()} {self.email_hash[:8]}"
