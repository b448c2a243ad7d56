"""Named groups of contacts, to read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from apps.core.backoffice import ReadOnlyAdmin
from apps.core.wording import counted
from apps.segments import selectors
from apps.segments.conditions import ConditionError
from apps.segments.models import Segment


@admin.register(Segment)
class SegmentAdmin(ReadOnlyAdmin):
    """Everyone who meets a condition."""

    list_display = ["name", "key", "in_words", "updated_at"]
    sortable_by = ["key"]
    search_fields = ["name", "key"]
    search_help_text = "Name or key"
    ordering = ["name"]
    change_form_template = "admin/segments/segment_page.html"
    empty_text = "Segments are groups that conditions can name. There is none yet."

    @admin.display(description="who")
    def in_words(self, segment: Segment) -> str:
        return selectors.describe_segment(segment)

    def read_page(self, request: HttpRequest, row: Segment) -> dict[str, Any]:
        return {
            "segment": row,
            "in_words": selectors.describe_segment(row),
            "size": _size_in_words(row),
        }


def _size_in_words(segment: Segment) -> str:
    try:
        size = selectors.measure(segment, now=timezone.now())
    except ConditionError as problem:
        return str(problem)
    if size.count is None:
        return "Counting takes too long for this page."
    return f"{counted(size.count, 'contact', limit=selectors.MAX_COUNTED)} now."
