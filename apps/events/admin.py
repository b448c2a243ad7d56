"""Where events come from, what became of them, and what could not be used."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apps.core.backoffice import (
    ChoiceFilter,
    PageAdmin,
    Question,
    ReadOnlyAdmin,
    page_action,
)
from apps.core.wording import counted
from apps.events import selectors, services, signatures, wording
from apps.events.messages import BadMessage
from apps.events.models import Event, RejectedEvent, Source

CONTACT = "contact__id__exact"


@admin.register(Source)
class SourceAdmin(PageAdmin):
    """A website or server that sends events."""

    list_display = ["name", "public_key", "secret_key_hint", "is_active", "created_at"]
    sortable_by = ["name"]
    ordering = ["name"]
    change_form_template = "admin/events/source_page.html"
    fieldsets = [(None, {"fields": ["name", "is_active", "is_consent_settled"]})]
    add_fieldsets = [(None, {"fields": ["name", "is_consent_settled"]})]
    actions_detail = ["rotate_secret_key", "rotate_identity_secret"]
    empty_text = (
        "A source is a website or server that sends events. Make one to get its keys: a public key "
        "for browsers and a secret key for servers."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Cuepost's own source has no keys that anybody could use."""
        return super().get_queryset(request).filter(is_internal=False)

    def read_page(self, request: HttpRequest, row: Source) -> dict[str, Any]:
        may_change = self.has_change_permission(request, row)
        secret = signatures.identity_secret(row) if may_change else ""
        return {"source": row, "base_url": settings.BASE_URL, "identity_secret": secret}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its events stay, so it stays; switched off it takes nothing."""
        return False

    @sensitive_variables("secret_key")
    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        if change:
            services.change_source(source=obj)
            return
        source, secret_key = services.create_source(
            name=obj.name, is_consent_settled=obj.is_consent_settled, now=timezone.now()
        )
        obj.__dict__.update(source.__dict__)
        # For the answer to this very request, and for no other.
        obj.secret_key = secret_key  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: Source, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret key, this once: nothing that could show it again is stored."""
        return self._show_keys(request, obj, obj.secret_key)  # type: ignore[attr-defined]

    @page_action(description="New secret key", permission="change", icon="key")
    @sensitive_variables("secret_key")
    def rotate_secret_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        source = self.get_object_or_404(request, object_id)
        if request.method == "POST":
            secret_key = services.rotate_secret_key(source=source)
            self.log_change(request, source, "Made a new secret key.")
            return self._show_keys(request, source, secret_key)
        question = Question(
            f"New secret key for {source}?",
            "The present one stops working within seconds; whatever uses it needs the new one.",
            "Make a new key",
            is_danger=True,
        )
        return self.carry_out(request, source, question=question, act=str)

    @page_action(description="New identity secret", permission="change", icon="fingerprint")
    def rotate_identity_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        source = self.get_object_or_404(request, object_id)

        def act() -> str:
            services.rotate_identity_secret(source=source)
            self.log_change(request, source, "Made a new identity secret.")
            return "The new identity secret is on this page. Give it to your server."

        question = Question(
            f"New identity secret for {source}?",
            "Signatures made with the present one prove nothing from then on: visitors who log in "
            "stay unknown to us until your server signs with the new one.",
            "Make a new secret",
            is_danger=True,
        )
        return self.carry_out(request, source, question=question, act=act)

    @sensitive_variables("secret_key")
    def _show_keys(self, request: HttpRequest, source: Source, secret_key: str) -> TemplateResponse:
        context = {
            "title": f"The keys of {source}",
            "object": source,
            "source": source,
            "secret_key": secret_key,
            "base_url": settings.BASE_URL,
        }
        return self.render(request, "admin/events/source_keys.html", context)


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
class EventAdmin(ReadOnlyAdmin):
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
