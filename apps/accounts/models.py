"""Staff who work in the admin, and what they did with people's data."""

from typing import Self

import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class User(AbstractUser):
    """One member of staff."""


class AccessRecordQuerySet(models.QuerySet["AccessRecord"]):
    def about(self, contact_id: int) -> Self:
        return self.filter(contact_ids__contains=[contact_id])


class AccessRecord(models.Model):
    """Somebody saw, exported, changed or erased personal data. It names people by number only."""

    class Kind(models.TextChoices):
        VIEW = "view", "looked at"
        SEARCH = "search", "searched"
        EXPORT = "export", "exported"
        CHANGE = "change", "changed"
        ERASE = "erase", "erased"

    # Who did what
    user = models.ForeignKey(
        User,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="access_records",
        verbose_name="staff",
        help_text="Empty for a command on the server.",
    )
    kind = models.CharField(max_length=8, choices=Kind)
    what = models.CharField(max_length=200, help_text="Which kinds of data.")

    # About whom
    contact_ids = ArrayField(
        models.BigIntegerField(), default=list, help_text="The numbers of the contacts."
    )
    people_count = models.PositiveIntegerField(
        "people", help_text="How many it was about, where they are too many to number."
    )

    # Where and when
    path = models.CharField("page", max_length=300, blank=True)
    accessed_at = models.DateTimeField()

    objects = AccessRecordQuerySet.as_manager()

    class Meta:
        indexes = [
            # Read by the admin list.
            models.Index(fields=["-accessed_at", "-id"], name="access_record_newest"),
            # Read by AccessRecordQuerySet.about().
            GinIndex(fields=["contact_ids"], name="access_record_by_contact"),
        ]
        triggers = [
            pgtrigger.Protect(
                name="access_record_is_append_only",
                operation=pgtrigger.Update | pgtrigger.Delete,
            )
        ]

    def __str__(self) -> str:
        return f"{self.user or 'a command'} {self.get_kind_display()} {self.what}"
