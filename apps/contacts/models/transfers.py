"""Files of contacts on their way in."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q

from apps.core.models import Personal

AT_WORK = Q(status__in=["checking", "running"])


class ImportJobQuerySet(models.QuerySet["ImportJob"]):
    def at_work(self) -> Self:
        """Files that have rows to be worked through."""
        return self.filter(AT_WORK)


class ImportJob(models.Model):
    """One file of contacts: first looked through as a whole, then taken in, in batches.

    How far it is stands here and is written with each batch: after a crash it goes on from there.
    """

    class Status(models.TextChoices):
        UPLOADED = "uploaded", "columns to be matched"
        CHECKING = "checking", "being checked"
        CHECKED = "checked", "checked, not yet taken in"
        RUNNING = "running", "being taken in"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELED = "canceled", "canceled"

    # Which file
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file_name = models.CharField("file", max_length=200)
    format = models.CharField(max_length=4, choices=[("csv", "CSV"), ("xlsx", "XLSX")])
    encoding = models.CharField(max_length=16, blank=True)
    delimiter = models.CharField(max_length=1, blank=True)
    columns = models.JSONField(default=list, help_text="As the first row names them.")

    # How it is read
    mapping = models.JSONField(default=list, help_text="For each column what it tells, or nothing.")
    constants = models.JSONField(default=dict, help_text="What is the same for all rows.")

    # How far
    status = models.CharField(max_length=10, choices=Status, default=Status.UPLOADED)
    row_count = models.PositiveIntegerField("rows", null=True, blank=True)
    done_count = models.PositiveIntegerField(default=0)
    offset = models.BigIntegerField(default=0, help_text="Where the next row begins.")
    failure_count = models.PositiveSmallIntegerField(default=0)

    # What came of it
    created_count = models.PositiveIntegerField("new", default=0)
    updated_count = models.PositiveIntegerField("changed", default=0)
    unchanged_count = models.PositiveIntegerField("as they were", default=0)
    refused_count = models.PositiveIntegerField("refused", default=0)
    notes = models.JSONField(default=dict, help_text="What else was done or left out, counted.")
    problem = models.CharField(max_length=300, blank=True)

    # Who and when
    uploaded_by = models.CharField(max_length=150)
    uploaded_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    forgotten_at = models.DateTimeField(
        null=True, blank=True, help_text="Since then neither the file nor its rows are kept."
    )

    objects = ImportJobQuerySet.as_manager()

    class Meta:
        verbose_name = "import"
        indexes = [
            # Read by importing.work(), by each nudge.
            models.Index(fields=["id"], condition=AT_WORK, name="import_job_at_work"),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_at_work(self) -> bool:
        return self.status in (self.Status.CHECKING, self.Status.RUNNING)


class ImportRow(Personal):
    """A row that was refused, or one of the first of a file, kept to be looked at for some days."""

    personal_fields = ("cells",)

    class Outcome(models.TextChoices):
        CREATED = "created", "new"
        UPDATED = "updated", "changed"
        UNCHANGED = "unchanged", "as it is"
        REFUSED = "refused", "refused"

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField(max_length=300, blank=True)
    cells = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="import_row_is_numbered")
        ]

    def __str__(self) -> str:
        return f"row {self.number}"


class ImportedName(models.Model):
    """Whom a row of a file is about, as a keyed hash: a second row about them is refused."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="+")
    name_hash = models.CharField(max_length=64)
    number = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "name_hash"], name="imported_name_is_once")
        ]

    def __str__(self) -> str:
        return f"row {self.number}"
