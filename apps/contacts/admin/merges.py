"""Who may be one person, what was merged, and how it is undone."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.contacts import comparison, merging, suggestions
from apps.contacts.merging import CantMerge
from apps.contacts.models import MergeLog, MergeSuggestion
from apps.contacts.registry import NotNow
from apps.core.backoffice import ChoiceFilter, Question, ReadOnlyAdmin, has_perm, page_action

PROBLEMS = (CantMerge, NotNow)
MAY_MERGE = "contacts.merge_contact"
SWAP = "swap"


class StateFilter(ChoiceFilter):
    """What waits for a decision, and what was decided."""

    title = "state"
    parameter_name = "state"
    choices_in_words = MergeSuggestion.Status.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=self.value()) if self.value() else queryset


class MergingAdmin(ReadOnlyAdmin):
    """Staff looks; who may merge, acts."""

    sortable_by = ()

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_perm(request, MAY_MERGE) and not self.is_hidden_from(request)


@admin.register(MergeSuggestion)
class MergeSuggestionAdmin(MergingAdmin):
    """Two contacts who may be one person."""

    heading = "Possible duplicates"
    list_display = ["pair", "reason", "count", "last_seen_at", "status"]
    list_select_related = ["contact", "other"]
    list_filter = [StateFilter]
    ordering = ["-last_seen_at", "-id"]
    actions_detail = ["accept", "refuse"]
    change_form_template = "admin/contacts/suggestion_page.html"
    empty_text = (
        "Nobody seems to be here twice. When your server names the user ID of one contact and the "
        "address of another in one call, the two appear here, and you decide."
    )

    @admin.display(description="who")
    def pair(self, suggestion: MergeSuggestion) -> str:
        return str(suggestion)

    def offered_actions(self, row: MergeSuggestion) -> Any:
        is_decided = row.decided_at is not None
        return () if is_decided else self.actions_detail

    def read_page(self, request: HttpRequest, row: MergeSuggestion) -> dict[str, Any]:
        is_swapped = SWAP in request.GET
        survivor, merged = (row.other, row.contact) if is_swapped else (row.contact, row.other)
        is_open = row.decided_at is None
        return {
            "suggestion": row,
            "survivor": survivor,
            "merged": merged,
            "is_open": is_open,
            "is_swapped": is_swapped,
            "may_merge": self.has_act_permission(request),
            "lines": comparison.compare(survivor, merged) if is_open else [],
            "belongings": comparison.count_belongings(survivor, merged) if is_open else [],
            "logs": row.merges.order_by("-merged_at")[:1],
        }

    @page_action(description="Merge", permission="act", icon="merge", variant="primary")
    def accept(self, request: HttpRequest, object_id: str) -> HttpResponse:
        suggestion = self.get_object_or_404(request, object_id)
        is_swapped = SWAP in request.GET
        pair = (suggestion.contact, suggestion.other)
        survivor, merged = reversed(pair) if is_swapped else pair

        def act() -> str:
            suggestions.accept(
                suggestion_id=suggestion.pk,
                is_swapped=is_swapped,
                by=request.user.get_username(),
                now=timezone.now(),
            )
            self.log_change(request, suggestion, "Merged the two.")
            return "The two are one contact now. You can undo it on the page of the merge."

        question = Question(
            f"Merge {merged} into {survivor}?",
            f"All that {merged} has becomes {survivor}'s: events, carts, orders, mails and "
            "workflows. A no to mail of either is a no of both. It can be undone.",
            "Merge",
        )
        return self._carry_out(request, suggestion, question, act)

    @page_action(description="Two people", permission="act", icon="group")
    def refuse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        suggestion = self.get_object_or_404(request, object_id)

        def act() -> str:
            suggestions.refuse(
                suggestion_id=suggestion.pk,
                by=request.user.get_username(),
                now=timezone.now(),
            )
            self.log_change(request, suggestion, "Refused: two people.")
            return "Noted. These two are not suggested again."

        question = Question(
            f"Are {suggestion.contact} and {suggestion.other} two people?",
            "Both stay as they are, and the pair is not suggested again.",
            "They are two people",
        )
        return self._carry_out(request, suggestion, question, act)

    def _carry_out(
        self, request: HttpRequest, row: Any, question: Question, act: Callable[[], str]
    ) -> HttpResponse:
        return self.carry_out(request, row, question=question, act=patient(act), problems=PROBLEMS)


@admin.register(MergeLog)
class MergeLogAdmin(MergingAdmin):
    """One merge of two contacts."""

    heading = "Merged contacts"
    list_display = ["who", "merged_at", "merged_by", "state"]
    list_select_related = ["survivor"]
    ordering = ["-merged_at", "-id"]
    actions_detail = ["undo"]
    change_form_template = "admin/contacts/merge_page.html"
    empty_text = "No two contacts were merged yet."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("before", "after")

    @admin.display(description="who stayed")
    def who(self, log: MergeLog) -> str:
        return str(log.survivor)

    @admin.display(description="state")
    def state(self, log: MergeLog) -> str:
        return "undone" if log.undone_at else "merged"

    def offered_actions(self, row: MergeLog) -> Any:
        return () if row.undone_at else self.actions_detail

    def read_page(self, request: HttpRequest, row: MergeLog) -> dict[str, Any]:
        return {
            "log": row,
            "lines": comparison.read_log(row),
            "moved": comparison.count_moved(row),
        }

    @page_action(description="Undo the merge", permission="act", icon="undo")
    def undo(self, request: HttpRequest, object_id: str) -> HttpResponse:
        log = self.get_object_or_404(request, object_id)

        def act() -> str:
            merging.undo(log_id=log.pk, by=request.user.get_username(), now=timezone.now())
            self.log_change(request, log, "Undid the merge.")
            return "They are two contacts again."

        question = Question(
            "Make two contacts of them again?",
            f"Everything that the merge has moved goes back. What came in since then stays with "
            f"{log.survivor}: nobody knows whose it is.",
            "Undo the merge",
        )
        act = patient(act)
        return self.carry_out(request, log, question=question, act=act, problems=PROBLEMS)


def patient(act: Callable[[], str]) -> Callable[[], str]:
    """Where two got in each other's way the database gives up on one of them."""

    def tried() -> str:
        try:
            return act()
        except OperationalError as problem:
            raise NotNow("Something else works on the two right now. Try again.") from problem

    return tried
