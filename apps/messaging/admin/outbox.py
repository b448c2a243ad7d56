"""The outbox: every mail that was asked for, with its fate."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from apps.core.backoffice import ChoiceFilter, Question, ReadOnlyAdmin, page_action
from apps.core.wording import counted
from apps.messaging import preview, registry, services, wording
from apps.messaging.admin.frame import frame
from apps.messaging.models import Message, MessageContent

SENT = Question(
    "Settle as sent?",
    "Only if you know, for example from your mail provider's log, that it went out. It then counts "
    "as sent.",
    "It was sent",
)
NOT_SENT = Question(
    "Settle as not sent?",
    "Only if you know that it did not go out. It then counts as failed and is not sent again.",
    "It was not sent",
    is_danger=True,
)


class ReasonFilter(ChoiceFilter):
    """Why a mail was not sent, or is held back."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = {**wording.REASONS, **registry.words()}
        return [(name, words) for name, words in known.items() if ":" not in name]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Together with the state that bears it, since that has an index."""
        reason = self.value()
        if not reason:
            return queryset
        status = wording.status_with(reason)
        return queryset.filter(reason=reason, **({"status": status} if status else {}))


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """One mail to one contact."""

    heading = "Outbox"
    list_display = ["subject", "contact", "fate", "template", "queued_at", "sent_at"]
    list_display_links = ["subject"]
    list_select_related = ["contact", "content", "template_version__template"]
    list_filter = ["status", ReasonFilter]
    sortable_by = ()
    search_fields = ["email"]
    search_help_text = "E-mail address of a contact, in full"
    actions = ["settle_selected_as_sent", "settle_selected_as_not_sent"]
    actions_detail = ["settle_as_sent", "settle_as_not_sent"]
    change_form_template = "admin/messaging/message_page.html"
    empty_text = (
        "No mail was asked for yet. As soon as a workflow is live and somebody does what starts "
        "it, its mails are here: those that were sent, and those that were not, with the reason."
    )

    # --- the list -------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return (
            super().get_queryset(request).defer("context", "gate", "content__html", "content__text")
        )

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Newest first, each by an index: the one of a state or contact, or the table's own."""
        selections = ("status__exact", "contact__id__exact", "reason", "q")
        is_selection = any(request.GET.get(name) for name in selections)
        return ["-queued_at", "-id"] if is_selection else ["-id"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        return queryset.filter(contact__email=search_term.strip().lower()), False

    @admin.display(description="mail")
    def subject(self, message: Message) -> str:
        return wording.subject_of(message)

    @admin.display(description="what became of it")
    def fate(self, message: Message) -> str:
        return wording.headline(message)

    @admin.display(description="template")
    def template(self, message: Message) -> str:
        return str(message.template_version or "–")

    # --- the page -------------------------------------------------------------------------------

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Message | None:
        """With everything that the page shows."""
        rows = Message.objects.select_related(
            "contact",
            "content",
            "reading",
            "template_version__template",
            "purpose",
            "consent_record",
        )
        return rows.filter(pk=object_id).first() if object_id.isdecimal() else None

    def read_page(self, request: HttpRequest, row: Message) -> dict[str, Any]:
        content = _content(row)
        return {
            "message": row,
            "subject": wording.subject_of(row),
            "headline": wording.headline(row),
            "tone": wording.tone_of(row),
            "reading": wording.reading_of(row),
            "content": content,
            "links": content.links if content else [],
            "gate": [
                {**answer, "question": wording.check_in_words(answer["check"])}
                for answer in row.gate
            ],
            "origin": registry.find_origin(row),
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.frame_view)
        own = path("<path:object_id>/frame/", view, name="messaging_message_frame")
        return [own, *super().get_urls()]

    def frame_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The mail as it was handed over; nothing in it runs, and nothing is counted."""
        content = _content(self.view_object(request, object_id))
        return frame(preview.defused(content.html) if content else "")

    # --- what staff may do ----------------------------------------------------------------------

    def offered_actions(self, row: Message) -> Collection[str]:
        """Only what is in doubt can be settled."""
        return self.actions_detail if row.status == Message.Status.IN_DOUBT else ()

    @page_action(description="It was sent", permission="act", icon="task_alt")
    def settle_as_sent(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._settle(request, object_id, SENT, was_sent=True)

    @page_action(description="It was not sent", permission="act", icon="cancel")
    def settle_as_not_sent(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._settle(request, object_id, NOT_SENT, was_sent=False)

    def _settle(
        self, request: HttpRequest, object_id: str, question: Question, *, was_sent: bool
    ) -> HttpResponse:
        message = self.get_object_or_404(request, object_id)
        return self.carry_out(
            request,
            message,
            question=question,
            act=lambda: _settle(request, [message.pk], was_sent=was_sent),
        )

    @admin.action(description="Settle as sent…", permissions=["act"])
    def settle_selected_as_sent(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> HttpResponse | None:
        return self._settle_selected(request, queryset, SENT, was_sent=True)

    @admin.action(description="Settle as not sent…", permissions=["act"])
    def settle_selected_as_not_sent(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> HttpResponse | None:
        return self._settle_selected(request, queryset, NOT_SENT, was_sent=False)

    def _settle_selected(
        self,
        request: HttpRequest,
        queryset: QuerySet[Message],
        question: Question,
        *,
        was_sent: bool,
    ) -> HttpResponse | None:
        return self.carry_out_selected(
            request,
            queryset,
            question=question,
            act=lambda: _settle(
                request, list(queryset.values_list("pk", flat=True)), was_sent=was_sent
            ),
        )


def _settle(request: HttpRequest, ids: list[int], *, was_sent: bool) -> str:
    count = services.settle_in_doubt(
        ids=ids, was_sent=was_sent, by=request.user.get_username(), now=timezone.now()
    )
    verdict = "as sent" if was_sent else "as not sent"
    return f"{counted(count, 'mail')} in doubt settled {verdict}."


def _content(message: Message) -> MessageContent | None:
    return getattr(message, "content", None)
