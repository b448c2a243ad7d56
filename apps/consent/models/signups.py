"""Sign-up forms, and who has asked to be written to but not proved the address yet."""

import secrets
import uuid
from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from apps.consent.models.purposes import Purpose, Topic
from apps.core.models import Personal, TimeStamped

KEY_BYTES = 12


def make_form_key() -> str:
    return f"form_{secrets.token_urlsafe(KEY_BYTES)}"


def check_origin(text: str) -> None:
    """An origin as browsers send it: https://shop.example, without path and slash."""
    scheme, _, rest = text.partition("://")
    if scheme not in ("http", "https") or not rest or any(sign in rest for sign in "/?#@ ,;'\""):
        raise ValidationError(f"Write “{text}” like https://shop.example, without a path.")


class SignupForm(TimeStamped):
    """A form on some website by which people ask to be written to."""

    class Field(models.TextChoices):
        FIRST_NAME = "first_name", "first name"
        LAST_NAME = "last_name", "last name"
        PHONE = "phone", "phone number"
        COUNTRY = "country", "country, two letters"

    # What people see
    key = models.CharField(
        max_length=40, unique=True, default=make_form_key, editable=False, help_text="Public."
    )
    name = models.CharField(
        max_length=80,
        help_text="The title of the form; the confirmation mail names it too. “Tea news”.",
    )
    intro = models.TextField(
        "introduction", blank=True, help_text="A sentence or two under the title."
    )
    button = models.CharField(max_length=40, default="Sign up", help_text="What the button says.")
    extra_fields = ArrayField(
        models.CharField(max_length=20, choices=Field),
        default=list,
        blank=True,
        help_text="Asked for besides the e-mail address. None of them has to be filled in.",
    )

    # What they agree to
    purpose = models.ForeignKey(
        Purpose,
        models.PROTECT,
        related_name="+",
        default="email_marketing",
        help_text="What they allow by signing up. The form shows its newest wording.",
    )
    topics = models.ManyToManyField(
        Topic,
        blank=True,
        related_name="+",
        help_text=(
            "What they can ask for. With several, each has a box, and none is ticked beforehand."
        ),
    )
    is_double_opt_in = models.BooleanField(
        "double opt-in",
        default=True,
        help_text=(
            "They become a contact when they confirm by a mail that we send them. Without it, "
            "anybody can sign up anybody; who ever unsubscribed still has to confirm."
        ),
    )

    # Where it stands
    is_active = models.BooleanField(
        "active", default=True, help_text="Switched off, it answers that it is closed."
    )
    allowed_origins = ArrayField(
        models.CharField(max_length=120, validators=[check_origin]),
        default=list,
        blank=True,
        help_text=(
            "The websites that may show it, separated by commas: https://shop.example. Empty: any."
        ),
    )
    redirect_url = models.URLField(
        "page afterwards",
        blank=True,
        help_text="Where people are sent after they signed up. Empty: a page of ours thanks them.",
    )

    def __str__(self) -> str:
        return self.name


PENDING = Q(status="pending")


class PendingSignupQuerySet(models.QuerySet["PendingSignup"]):
    def pending(self) -> Self:
        return self.filter(PENDING)

    def expired(self, now: datetime) -> Self:
        return self.pending().filter(expires_at__lte=now)


class PendingSignup(Personal):
    """Somebody, known only by an address that nobody has proved yet, asks to be written to.

    It is found by keyed hashes. What is personal goes as soon as it is confirmed or expires.
    """

    personal_fields = ("email_hash", "details")

    class Status(models.TextChoices):
        PENDING = "pending", "not confirmed yet"
        CONFIRMED = "confirmed", "confirmed"
        EXPIRED = "expired", "never confirmed"

    # Who, as long as it is open
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    form = models.ForeignKey(SignupForm, models.CASCADE, related_name="signups")
    email_hash = models.CharField(max_length=64)
    ip_hash = models.CharField(max_length=64, blank=True)
    details = models.JSONField(
        default=dict, blank=True, help_text="Address, name, topics, and how it was asked."
    )

    # How far
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    mail_count = models.PositiveSmallIntegerField(default=0)
    mailed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    contact = models.ForeignKey(
        "contacts.Contact", models.SET_NULL, null=True, blank=True, related_name="signups"
    )

    objects = PendingSignupQuerySet.as_manager()

    class Meta:
        verbose_name = "sign-up"
        constraints = [
            models.UniqueConstraint(
                fields=["form", "email_hash"],
                condition=PENDING,
                name="pending_signup_one_open_per_address",
            ),
            models.CheckConstraint(
                condition=PENDING | Q(details={}), name="pending_signup_closed_forgets_the_person"
            ),
        ]
        indexes = [
            # Read by signups.expire().
            models.Index(fields=["expires_at"], condition=PENDING, name="pending_signup_due"),
            # Read by the limits of signups.sign_up().
            models.Index(fields=["ip_hash", "asked_at"], name="pending_signup_by_ip"),
            models.Index(fields=["email_hash", "asked_at"], name="pending_signup_by_email"),
            # Read by the admin's list.
            models.Index(fields=["form", "-asked_at"], name="pending_signup_by_form"),
        ]

    def __str__(self) -> str:
        return f"{self.form}, {self.get_status_display()}"
