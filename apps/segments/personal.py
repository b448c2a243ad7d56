"""Segments hold conditions, not people: whom they mean is asked each time."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apps.consent.registry import Fate, Holding, Subject, Table, register_holding
from apps.segments.compiler import contacts_matching
from apps.segments.conditions import ConditionError
from apps.segments.models import Segment
from apps.segments.selectors import describe_segment, read_condition


def read_memberships(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    """The groups that they are in at this moment."""
    for segment in Segment.objects.order_by("name"):
        try:
            people = contacts_matching(read_condition(segment), as_of=now)
        except ConditionError:
            continue
        if people.filter(pk=subject.contact_id).exists():
            yield {"segment": segment.name, "means": describe_segment(segment)}


def register() -> None:
    register_holding(
        Holding(
            name="segments",
            label="Segments",
            order=45,
            fates={"segments.Segment": {Fate.IMPERSONAL: "key name description condition"}},
            erase=lambda subject, now, limit: 0,
            tables=(Table("segments", "Groups that you are in", read_memberships),),
        )
    )
