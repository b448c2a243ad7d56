"""What could not be used."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.core.backoffice import ChoiceFilter, Question, ReadOnlyAdmin, page_action
from apps.core.wording import counted
from apps.events import services, wording
from apps.events.messages import BadMessage
from apps.events.models import RejectedEvent


class OpenFilter(ChoiceFilter):
    """Rejected events that wait for somebody, and those that were replayed."""

    title = "state"
    parameter_name = "state"
    choices_in_words = [("open", "to be seen to"), ("replayed", "replayed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(replayed_at__isnull=self.value() == "open")


class ReasonFilter(ChoiceFilter):
    """Why an event was rejected."""

    title = "reason"
    parameter_name = "reason"
    choices_in_words = [(reason, words) for reason, words in wording.REASONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(reason=self.value()) if self.value() else queryset


@admin.register(RejectedEvent)
class RejectedEventAdmin(ReadOnlyAdmin):
    """An event that could not be used, with its reason."""

    heading = "Rejected events"
    list_display = ["why", "detail_in_short", "source", "rejected_at", "replayed_at"]
    list_select_related = ["source"]
    list_filter = [OpenFilter, ReasonFilter]
    sortable_by = ()
    ordering = ["-rejected_at", "-id"]
    actions = ["replay_selected"]
    actions_detail = ["replay"]
    empty_text = "Every event could be used."
    fieldsets = [
        ("Why", {"fields": ["why", "reason", "detail"]}),
        ("What was sent", {"fields": ["message_id", "payload"]}),
        ("From where, and when", {"fields": ["source", "is_secret", "received_at", "rejected_at"]}),
        ("Since then", {"fields": ["replayed_at"]}),
    ]
    readonly_fields = ["why"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("payload")

    @admin.display(description="why")
    def why(self, rejected: RejectedEvent) -> str:
        return wording.reason_in_words(rejected.reason)

    @admin.display(description="detail")
    def detail_in_short(self, rejected: RejectedEvent) -> str:
        return rejected.detail[:80] or "–"

    @page_action(description="Replay", permission="act", icon="replay")
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rejected = self.get_object_or_404(request, object_id)

        def act() -> str:
            services.replay(rejected=rejected, now=timezone.now())
            return "The event is back in the inbox and takes effect in a moment."

        question = Question(
            "Replay this event?",
            "It goes back into the inbox as it was received. If the cause is still there, it is "
            "rejected again.",
            "Replay",
        )
        problems = (services.AlreadyReplayed, BadMessage)
        return self.carry_out(request, rejected, question=question, act=act, problems=problems)

    @admin.action(description="Replay selected events", permissions=["act"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[RejectedEvent]) -> None:
        replayed = refused = 0
        for rejected in queryset.filter(replayed_at=None).select_related("source"):
            try:
                services.replay(rejected=rejected, now=timezone.now())
                replayed += 1
            except (services.AlreadyReplayed, BadMessage):
                refused += 1
        if refused:
            message = f"{counted(refused, 'event')} still can't be used."
            self.message_user(request, message, messages.WARNING)
        message = f"{counted(replayed, 'event')} went back into the inbox."
        self.message_user(request, message, messages.SUCCESS)
