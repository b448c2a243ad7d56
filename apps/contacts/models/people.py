"""People, and the names other systems know them by."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.core.models import Personal, TimeStamped


class ContactQuerySet(models.QuerySet["Contact"]):
    def reachable(self) -> Self:
        """Contacts that have an e-mail address."""
        return self.exclude(email=None)

    def present(self) -> Self:
        """Everybody but those who were erased, or are part of somebody else by now."""
        return self.filter(erased_at=None, merged_into=None)


class Contact(Personal, TimeStamped):
    """One identified person. Anonymous visitors are ids on events until they identify."""

    personal_fields = ("email", "external_id", "first_name", "last_name", "phone", "attributes")

    # Who
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(  # noqa: DJ001 -- many have none, and it is unique
        max_length=254,
        null=True,
        blank=True,
        help_text="Kept in lower case. Empty for somebody who can't be written to yet.",
    )
    external_id = models.CharField(  # noqa: DJ001 -- many have none, and it is unique
        "user ID",
        max_length=200,
        null=True,
        blank=True,
        help_text="The ID this person has in your shop or application.",
    )
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    phone = models.CharField(max_length=40, blank=True)

    # Where
    locale = models.CharField(max_length=20, blank=True, help_text="For example en-GB.")
    time_zone = models.CharField(max_length=64, blank=True, help_text="For example Europe/Berlin.")
    country = models.CharField(max_length=2, blank=True, help_text="Two letters, for example DE.")

    # What else is known
    attributes = models.JSONField(
        default=dict, blank=True, help_text="Everything else your systems have told about them."
    )
    is_test = models.BooleanField(
        "test contact", default=False, help_text="Gets test mails; left out of every count."
    )

    # Whether there still is somebody
    erased_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Since then the row stands for nobody; what is counted hangs on it.",
    )
    merged_into = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        blank=True,
        editable=False,
        related_name="merged_contacts",
        help_text="Who this contact turned out to be; what was theirs is there.",
    )

    objects = ContactQuerySet.as_manager()

    class Meta:
        permissions = [
            ("view_personal_data", "Can see names, addresses, IDs and what people did"),
            ("export_contact", "Can export contacts"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["email"],
                name="contact_one_per_email",
                violation_error_message="Another contact already has this address.",
            ),
            models.UniqueConstraint(
                fields=["external_id"],
                name="contact_one_per_external_id",
                violation_error_message="Another contact already has this user ID.",
            ),
            models.CheckConstraint(
                condition=Q(email=None) | Q(email=Lower("email")) & ~Q(email=""),
                name="contact_email_is_lower_case",
                violation_error_message="Write the address in lower case.",
            ),
            models.CheckConstraint(
                condition=~Q(external_id=""), name="contact_external_id_is_none_or_text"
            ),
            models.CheckConstraint(
                condition=Q(erased_at=None)
                | Q(
                    email=None,
                    external_id=None,
                    first_name="",
                    last_name="",
                    phone="",
                    attributes={},
                ),
                name="contact_erased_is_empty",
            ),
            models.CheckConstraint(
                condition=Q(merged_into=None)
                | Q(
                    email=None,
                    external_id=None,
                    first_name="",
                    last_name="",
                    phone="",
                    attributes={},
                ),
                name="contact_merged_is_empty",
            ),
        ]

    def __str__(self) -> str:
        if self.is_masked:
            return f"Contact {self.pk}"
        return self.name or self.email or self.external_id or str(self.uuid)

    @property
    def person_id(self) -> int | None:
        return self.pk

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class Identity(Personal):
    """One name by which events find a contact."""

    personal_fields = ("value",)

    class Kind(models.TextChoices):
        USER_ID = "user_id", "user ID"
        EMAIL = "email", "e-mail address"
        ANONYMOUS_ID = "anonymous_id", "browser"

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="identities")
    kind = models.CharField(max_length=16, choices=Kind)
    value = models.CharField(max_length=254)
    is_trusted = models.BooleanField(
        default=True, help_text="Off where only a browser has said so; a server's word counts more."
    )
    linked_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "value"],
                name="identity_names_one_contact",
                violation_error_message="This ID already belongs to another contact.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value}"
