"""Programs that write to one contact at a time, and everyone who is in them."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from apps.core.models import Personal, TimeStamped


class Workflow(TimeStamped):
    """One automatic conversation, started by what somebody does."""

    class Status(models.TextChoices):
        DRAFT = "draft", "draft"
        LIVE = "live", "live"
        PAUSED = "paused", "paused"

    key = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    status = models.CharField(
        max_length=16,
        choices=Status,
        default=Status.DRAFT,
        help_text="While paused, nobody enters, nobody moves on and nothing is sent.",
    )
    live_version = models.ForeignKey(
        "WorkflowVersion", models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="live") | ~Q(live_version=None),
                name="workflow_live_has_a_version",
                violation_error_message="Publish a version before going live.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(models.Model):
    """The definition at one time; never changed once published."""

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField(help_text="The tree that people read and edit.")
    program = models.JSONField(help_text="The same, compiled to instructions with jump targets.")
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "number"], name="workflow_version_numbered_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.workflow} v{self.number}"


LIVE = Q(status="live")

# The reason of those who left through a step of the workflow itself.
EXIT_STEP = "exit_step"


class EnrollmentQuerySet(models.QuerySet["Enrollment"]):
    def live(self) -> Self:
        return self.filter(LIVE)

    def due(self, now: datetime) -> Self:
        """Live enrollments whose next step may run, in workflows that are switched on."""
        return self.live().filter(wake_at__lte=now, workflow__status=Workflow.Status.LIVE)

    def claim_due(self, now: datetime, *, limit: int) -> "list[Enrollment]":
        """Lock due rows that no other worker holds. Call inside a transaction."""
        rows = self.due(now).order_by("wake_at", "id")
        return list(rows.select_for_update(skip_locked=True, of=("self",))[:limit])


class Enrollment(Personal):
    """One contact's passage through one workflow, from entry to exit."""

    personal_fields = ("context",)
    judged_fields = ("exit_values",)

    class Status(models.TextChoices):
        LIVE = "live", "in the workflow"
        COMPLETED = "completed", "completed"
        EXITED = "exited", "left early"

    # Who, and through what
    workflow = models.ForeignKey(Workflow, models.PROTECT, related_name="enrollments")
    version = models.ForeignKey(WorkflowVersion, models.PROTECT, related_name="enrollments")
    contact = models.ForeignKey("contacts.Contact", models.CASCADE, related_name="enrollments")
    entry_key = models.CharField(
        max_length=200, blank=True, help_text="What it is about, for example the cart."
    )
    context = models.JSONField(default=dict, help_text="The event that started or restarted it.")

    # How far
    status = models.CharField(max_length=16, choices=Status, default=Status.LIVE)
    pc = models.PositiveSmallIntegerField(default=0, help_text="The next instruction.")
    wake_at = models.DateTimeField(
        null=True, blank=True, help_text="When the next step may run; empty once out."
    )
    deadline_at = models.DateTimeField(
        null=True, blank=True, help_text="When the present wait ends; empty while not in one."
    )
    waiting_for = models.CharField(
        max_length=200, blank=True, help_text="The event that ends the present wait early."
    )
    restart_count = models.PositiveIntegerField(default=0)

    # From when to when
    started_at = models.DateTimeField(help_text="When the starting event happened.")
    entered_at = models.DateTimeField(help_text="When the contact got in.")
    finished_at = models.DateTimeField(null=True, blank=True)
    exit_reason = models.CharField(max_length=40, blank=True)
    exit_values = models.JSONField(default=dict, blank=True)

    objects = EnrollmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "contact", "entry_key"],
                condition=LIVE,
                name="enrollment_one_live_per_entry",
                violation_error_message="This contact is already in the workflow.",
            ),
            models.CheckConstraint(
                condition=LIVE & ~Q(wake_at=None) | ~LIVE & Q(wake_at=None, deadline_at=None),
                name="enrollment_wakes_only_while_live",
            ),
            models.CheckConstraint(
                condition=~Q(status="exited") | ~Q(exit_reason=""),
                name="enrollment_exit_says_why",
            ),
        ]
        indexes = [
            # Read by EnrollmentQuerySet.due(), every tick.
            models.Index(fields=["wake_at", "id"], condition=LIVE, name="enrollment_due"),
            # Read by the projection: who of this batch is inside.
            models.Index(fields=["contact"], condition=LIVE, name="enrollment_live_by_contact"),
            # Read by the re-entry rules and the contact page.
            models.Index(
                fields=["workflow", "contact", "-entered_at"], name="enrollment_by_contact"
            ),
            # Read by the workflow page: how many are at each step.
            models.Index(fields=["version", "pc"], condition=LIVE, name="enrollment_live_by_step"),
        ]

    def __str__(self) -> str:
        return f"{self.contact} in {self.workflow}"


class StepLog(Personal):
    """One decision about one enrollment, with the values it was judged on."""

    judged_fields = ("values",)

    enrollment = models.ForeignKey(Enrollment, models.CASCADE, related_name="log")
    step_id = models.CharField(max_length=60, blank=True)
    action = models.CharField(
        max_length=20, help_text="enter, wait, wake, restart, send, branch, exit or complete"
    )
    outcome = models.CharField(max_length=60, blank=True)
    values = models.JSONField(default=dict, blank=True)
    logged_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["enrollment", "id"], name="step_log_by_enrollment")]

    def __str__(self) -> str:
        return f"{self.action} {self.outcome}".strip()


class EntryRefusal(Personal):
    """Why a triggering event did not start a workflow for a contact."""

    judged_fields = ("values",)

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="refusals")
    contact = models.ForeignKey("contacts.Contact", models.CASCADE, related_name="+")
    event_id = models.BigIntegerField()
    reason = models.CharField(max_length=40, help_text="too_old, paused, no_entry_key or re_entry")
    values = models.JSONField(default=dict, blank=True)
    refused_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["contact", "-refused_at"], name="refusal_by_contact")]

    def __str__(self) -> str:
        return self.reason
