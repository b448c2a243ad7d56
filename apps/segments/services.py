"""What staff and the other floors do with segments."""

from typing import Any

from django.db import transaction

from apps.segments.models import Segment
from apps.segments.parser import parse
from apps.segments.references import load_segments
from apps.segments.tree import Condition


@transaction.atomic
def save_segment(*, key: str, name: str, condition: Any, description: str = "") -> Segment:
    """Check and store a segment under its key.

    Raises ConditionError where the condition can't be used, among them UnknownSegment and
    CircularSegment.
    """
    tree = parse({"in_segment": key})
    load_segments(tree, drafts={key: parse(condition)})
    segment, _ = Segment.objects.update_or_create(
        key=key, defaults={"name": name, "description": description, "condition": condition}
    )
    return segment


def check_segments(condition: Condition) -> None:
    """Raise UnknownSegment or CircularSegment where a condition names segments it can't use."""
    load_segments(condition)
