"""Who may be one person, and who was made one."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Greatest, Least

from apps.contacts.models.people import Contact
from apps.core.models import Personal

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
        return f"Contact {self.merged_id} into contact {self.survivor_id}"

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
