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
    # Decisions, with the values they were judged on: only what people told is hidden there.
    judged_fields: ClassVar[Sequence[str]] = ()
    is_masked = False

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Never write back what is hidden only from whoever looks."""
        if self.is_masked:
            raise PermissionDenied("Who may not see personal data can't change it.")
        super().save(*args, **kwargs)

    def whole(self) -> Self:
        """The row with nothing hidden, for a calculation that shows none of it."""
        if not self.is_masked:
            return self
        with viewing.lifted():
            return type(self)._default_manager.get(pk=self.pk)

    @property
    def person_id(self) -> int | None:
        """The contact it is about, where it is known."""
        return getattr(self, "contact_id", None)

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        row = super().from_db(*args, **kwargs)
        page = viewing.current()
        if page is not None:
            page.see(row)
        return row
