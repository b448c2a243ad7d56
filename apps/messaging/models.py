"""What is written, and the ledger of everything sent or not sent."""

import uuid
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q

from apps.core.models import Personal, TimeStamped


class Template(TimeStamped):
    """One e-mail, in all its versions."""

    key = models.SlugField(max_length=80, unique=True, help_text="As workflows name it.")
    name = models.CharField(max_length=120)
    purpose = models.ForeignKey(
        "consent.Purpose",
        models.PROTECT,
        related_name="+",
        default="email_marketing",
        help_text="What the recipient must have allowed before this mail may go out.",
    )
    topic = models.ForeignKey(
        "consent.Topic",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who has left this topic out doesn't get the mail. Empty: it is about none.",
    )
    is_service = models.BooleanField(
        "service mail",
        default=False,
        editable=False,
        help_text="Asks somebody to confirm what they asked for. No workflow sends it.",
    )

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """The text of a template at one time; never changed once published."""

    template = models.ForeignKey(Template, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    subject = models.CharField(
        max_length=300, help_text="May use variables, such as {{ contact.first_name }}."
    )
    html = models.TextField("HTML", help_text="The body, with Liquid variables and tags.")
    published_at = models.DateTimeField(
        null=True, blank=True, help_text="Mails use the newest published version."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["template", "number"], name="template_version_numbered_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.template} v{self.number}"


QUEUED = Q(status="queued")
HANDED = Q(status__in=["claimed", "sending"])


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self, now: datetime) -> Self:
        return self.filter(QUEUED, due_at__lte=now)


class Message(Personal):
    """The ledger row of one e-mail to one contact.

    queued -> claimed -> sending -> sent -> delivered | bounced | complained, or skipped(reason),
    failed(reason), in_doubt. Back go `claimed`, when released or lost, and `sending`, when the mail
    was surely not taken: not handed over yet, refused for now, or no server there. From `in_doubt`
    it only goes on, by what the provider or staff finds out.
    """

    personal_fields = ("email", "context")
    judged_fields = ("gate", "reason_values")

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        CLAIMED = "claimed", "claimed"
        SENDING = "sending", "sending"
        SENT = "sent", "sent"
        DELIVERED = "delivered", "delivered"
        BOUNCED = "bounced", "bounced"
        COMPLAINED = "complained", "complained"
        SKIPPED = "skipped", "skipped"
        FAILED = "failed", "failed"
        IN_DOUBT = "in_doubt", "in doubt"

    class Basis(models.TextChoices):
        CONSENT = "consent", "consent"
        OPT_OUT = "opt_out", "nobody has to ask there"

    # What, to whom
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    send_key = models.CharField(
        max_length=200,
        help_text="Names the one occasion of this mail; the same occasion can't send twice.",
    )
    contact = models.ForeignKey(
        "contacts.Contact",
        models.CASCADE,
        related_name="messages",
        db_index=False,  # message_by_contact serves.
    )
    template_version = models.ForeignKey(
        TemplateVersion,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,  # Each index is written several times a message; nothing reads this one.
        related_name="+",
        help_text="Empty only where there was no text to send, and nothing was sent.",
    )
    purpose = models.ForeignKey("consent.Purpose", models.PROTECT, related_name="+", db_index=False)
    topic = models.ForeignKey(
        "consent.Topic", models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    context = models.JSONField(
        default=dict, help_text="What the template may show besides the contact: event, cart key."
    )

    # Why: who asked for it, in the words of the floor above
    origin_type = models.CharField(max_length=16, help_text="For example workflow.")
    origin_id = models.BigIntegerField(help_text="The enrollment, for a workflow.")
    step_id = models.CharField(max_length=60, blank=True)

    # How far
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    reason = models.CharField(
        max_length=40, blank=True, help_text="Why it was skipped, failed or is held back."
    )
    reason_values = models.JSONField(default=dict, blank=True)
    gate = models.JSONField(
        default=list, blank=True, help_text="Each check of the last gate, with its values."
    )
    consent_record = models.ForeignKey(
        "consent.ConsentRecord", models.PROTECT, null=True, blank=True, related_name="+"
    )
    legal_basis = models.CharField(
        max_length=16,
        choices=Basis,
        blank=True,
        db_default="",
        default="",
        help_text="On what it went out: a consent, or a law that waits for a no.",
    )

    # Who works on it
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="Lower goes first: 0 one to one, 10 for a broadcast."
    )
    due_at = models.DateTimeField(help_text="When it may be tried next.")
    lease_until = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0, help_text="The fence: counts every claim.")
    failure_count = models.PositiveIntegerField(default=0, help_text="Refusals by the server.")

    # What came of it
    email = models.EmailField(max_length=254, blank=True)
    provider_id = models.CharField(max_length=255, blank=True)
    queued_at = models.DateTimeField()
    gated_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    clicked_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [
            # A constraint rather than unique=True, which would add an index for LIKE.
            models.UniqueConstraint(fields=["send_key"], name="message_once_per_occasion"),
            models.CheckConstraint(
                condition=~Q(status__in=["skipped", "failed"]) | ~Q(reason=""),
                name="message_skipped_or_failed_says_why",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["sending", "sent", "delivered", "in_doubt"])
                | ~Q(consent_record=None)
                | Q(legal_basis="opt_out"),
                name="message_sent_has_a_legal_basis",
            ),
            models.CheckConstraint(
                condition=~HANDED | ~Q(lease_until=None), name="message_in_hand_has_a_lease"
            ),
            models.CheckConstraint(
                condition=Q(status="skipped") | ~Q(template_version=None),
                name="message_without_text_is_skipped",
            ),
        ]
        indexes = [
            # Read by delivery.claim(), several times a second.
            models.Index(fields=["priority", "due_at", "id"], condition=QUEUED, name="message_due"),
            # Read by delivery.reap().
            models.Index(fields=["lease_until"], condition=HANDED, name="message_leased"),
            models.Index(fields=["contact", "-queued_at"], name="message_by_contact"),
            # Read by the gate checks of the floor that asked for it, and by its pages.
            models.Index(fields=["origin_type", "origin_id"], name="message_by_origin"),
            # Read by the admin's lists.
            models.Index(fields=["status", "-queued_at"], name="message_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.template_version or self.send_key} to {self.contact}"


class MessageContent(Personal):
    """What one message said, exactly as it was handed over."""

    personal_fields = ("subject", "html", "text", "links")

    message = models.OneToOneField(
        Message, models.CASCADE, primary_key=True, related_name="content"
    )
    subject = models.TextField()
    html = models.TextField()
    text = models.TextField()
    links = models.JSONField(default=list, help_text="The addresses behind its tracked links.")

    def __str__(self) -> str:
        return self.subject


class MessageReading(Personal):
    """How long one message was read, as far as that can be known: an estimate, never a measure."""

    personal_fields = ("client",)

    message = models.OneToOneField(
        Message, models.CASCADE, primary_key=True, related_name="reading"
    )
    client = models.CharField(
        max_length=30, blank=True, help_text="A pseudonym of the program that loaded it last."
    )
    loaded_at = models.DateTimeField(null=True, blank=True)
    load_count = models.PositiveIntegerField(
        default=0, help_text="How often the pixel was loaded by somebody, as far as can be told."
    )
    estimated = models.DurationField(
        default=timedelta, help_text="What lies between loads that follow each other closely."
    )
    reported = models.DurationField(
        null=True, blank=True, help_text="What the mail provider has told."
    )

    def __str__(self) -> str:
        return f"reading of {self.message}"

    @property
    def duration(self) -> timedelta:
        """What the provider tells comes before what we conclude; zero where nothing is known."""
        return self.reported or self.estimated


SENDING = Q(status="sending")


class ServiceMail(Personal):
    """One mail that asks whoever reads it to confirm something, such as a sign-up.

    It goes to an address, which may be nobody's we know, so it needs no consent; it says nothing
    but what it asks. queued -> sending -> sent, or skipped(reason), failed(reason), in_doubt. As
    soon as it is settled the row forgets the address and the values.
    """

    personal_fields = ("email", "values")

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        SENDING = "sending", "sending"
        SENT = "sent", "sent"
        SKIPPED = "skipped", "skipped"
        FAILED = "failed", "failed"
        IN_DOUBT = "in_doubt", "in doubt"

    # What, to whom
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    send_key = models.CharField(
        max_length=200, help_text="Names the one occasion of this mail, so that it goes out once."
    )
    template = models.ForeignKey(Template, models.PROTECT, related_name="service_mails")
    email = models.EmailField(
        max_length=254, blank=True, help_text="Gone as soon as the mail is settled."
    )
    values = models.JSONField(default=dict, blank=True)

    # How far
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    reason = models.CharField(max_length=40, blank=True)
    due_at = models.DateTimeField(help_text="When it may be tried next.")
    lease_until = models.DateTimeField(null=True, blank=True)
    failure_count = models.PositiveIntegerField(default=0)
    provider_id = models.CharField(max_length=255, blank=True)
    queued_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["send_key"], name="service_mail_once_per_occasion"),
            models.CheckConstraint(
                condition=QUEUED | SENDING | Q(email="", values={}),
                name="service_mail_settled_forgets_the_address",
            ),
        ]
        indexes = [
            # Read by servicemail.deliver(), at each tick.
            models.Index(fields=["due_at", "id"], condition=QUEUED, name="service_mail_due"),
            # Read by servicemail.reap().
            models.Index(fields=["lease_until"], condition=SENDING, name="service_mail_leased"),
            # Read by the admin's list.
            models.Index(fields=["-queued_at"], name="service_mail_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.template}, {self.get_status_display()}"
