"""Base models; core has no tables of its own."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from django.core.exceptions import PermissionDenied
from django.db import models

from apps.core import viewing


class TimeStamped(models.Model):
    """When a row that staff edit was made and last changed."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Personal(models.Model):
    """A row about a person: masked for staff who may not see people, noted for all others."""

    # What is hidden; a field whose value is empty stays empty.
    personal_fields: ClassVar[Sequence[str]] = ()
    is_masked = False

    class Meta:
        abstract = True

    @property
    def person_id(self) -> int | None:
        """The contact it is about, where it is known."""
        return getattr(self, "contact_id", None)

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any) -> Self:
        row = super().from_db(db, field_names, values)
        page = viewing.current()
        if page is not None:
            page.see(row)
        return row

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Never write back what is hidden only from whoever looks."""
        if self.is_masked:
            raise PermissionDenied("Who may not see personal data can't change it.")
        super().save(*args, **kwargs)
