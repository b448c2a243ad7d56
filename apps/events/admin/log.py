"""What happened."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.backoffice import ChoiceFilter, ReadOnlyAdmin
from apps.events import selectors, wording
from apps.events.admin.live import LivePages
from apps.events.models import Event

CONTACT = "contact__id__exact"


class ContactsOwnNameFilter(ChoiceFilter):
    """By the event's name, once a contact is chosen: the index starts with the contact."""

    title = "event"
    parameter_name = "name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(CONTACT, "")
        names = selectors.event_names(int(chosen)) if chosen.isdecimal() else []
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(name=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(LivePages, ReadOnlyAdmin):
    """One thing that somebody did."""

    list_display = ["what", "name", "contact", "source", "occurred_at"]
    list_select_related = ["contact", "source"]
    list_filter = [ContactsOwnNameFilter]
    sortable_by = ()
    search_fields = ["anonymous_id"]
    search_help_text = "E-mail address, user ID or browser ID, in full"
    empty_text = "Nothing has happened yet. Events appear here as soon as a source sends them."
    fieldsets = [
        ("Who", {"fields": ["contact", "anonymous_id"]}),
        ("What", {"fields": ["type", "name", "properties", "context"]}),
        (
            "From where",
            {"fields": ["source", "message_id", "is_trusted", "is_backfill"]},
        ),
        ("When", {"fields": ["occurred_at", "received_at", "sent_at", "original_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("context")

    @admin.display(description="what happened")
    def what(self, event: Event) -> str:
        return wording.headline(event)

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Each by an index: the log's own order, or the one of a contact."""
        is_selection = CONTACT in request.GET or request.GET.get("q")
        return ["-occurred_at", "-id"] if is_selection else ["-id"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        return queryset & selectors.events_of(search_term), False
