"""People, and the names other systems know them by."""

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Greatest, Least, Lower

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


UNDECIDED = Q(status__in=["open", "due"])
DUE = Q(status="due")


class MergeSuggestion(models.Model):
    """Two contacts whom a server's event takes for one; staff decides.

    `due` are those that are merged by themselves in a moment, since one of the two was a guest.
    """

    class Reason(models.TextChoices):
        USER_ID_AND_EMAIL = (
            "user_id_and_email",
            "one call named the user ID of one and the address of the other",
        )
        ALIAS = "alias", "an alias call named both"

    class Status(models.TextChoices):
        OPEN = "open", "to be decided"
        DUE = "due", "about to be merged"
        ACCEPTED = "accepted", "merged"
        REFUSED = "refused", "two people"

    # Who
    contact = models.ForeignKey(
        Contact,
        models.CASCADE,
        related_name="+",
        help_text="The one who would stay: the call named their user ID.",
    )
    other = models.ForeignKey(Contact, models.CASCADE, related_name="+")

    # Why
    reason = models.CharField(max_length=20, choices=Reason)
    event_id = models.BigIntegerField(help_text="The last event that took them for one.")
    source_name = models.CharField("source", max_length=80, blank=True)
    count = models.PositiveIntegerField(
        "times", default=1, help_text="How many events took them for one."
    )
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    # What became of it
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=150, blank=True)

    class Meta:
        permissions = [("merge_contact", "Can merge contacts and undo it")]
        constraints = [
            models.UniqueConstraint(
                Least("contact", "other"),
                Greatest("contact", "other"),
                condition=UNDECIDED,
                name="merge_suggestion_one_open_per_pair",
            ),
            models.CheckConstraint(
                condition=~Q(contact=models.F("other")), name="merge_suggestion_is_about_two"
            ),
            models.CheckConstraint(
                condition=UNDECIDED | ~Q(decided_at=None), name="merge_suggestion_says_when"
            ),
        ]
        indexes = [
            # Read by suggestions.merge_due(), at each tick.
            models.Index(fields=["id"], condition=DUE, name="merge_suggestion_due"),
            # Read by the admin's list.
            models.Index(fields=["status", "-last_seen_at"], name="merge_suggestion_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.contact} and {self.other}"


class MergeLog(Personal):
    """One merge, with all that is needed to undo it."""

    personal_fields = ("before", "after")

    survivor = models.ForeignKey(Contact, models.CASCADE, related_name="merges")
    merged = models.ForeignKey(Contact, models.CASCADE, related_name="+")
    suggestion = models.ForeignKey(
        MergeSuggestion, models.SET_NULL, null=True, blank=True, related_name="merges"
    )
    before = models.JSONField(default=dict, help_text="What each of the two was.")
    after = models.JSONField(default=dict, help_text="What the one became.")
    merged_at = models.DateTimeField()
    merged_by = models.CharField(max_length=150)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = "merge"
        indexes = [models.Index(fields=["-merged_at"], name="merge_log_newest")]

    def __str__(self) -> str:
        return f"{self.merged_id} into {self.survivor_id}"

    @property
    def person_id(self) -> int | None:
        return self.survivor_id


class MergeMove(models.Model):
    """The rows of one table that a merge has moved, and what else it changed there."""

    log = models.ForeignKey(MergeLog, models.CASCADE, related_name="moves")
    table = models.CharField(max_length=60, help_text="For example commerce.Order.")
    row_ids = ArrayField(models.BigIntegerField(), default=list)
    values = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{len(self.row_ids)} of {self.table}"
