"""Everyone who is or was in a workflow, and each decision about them."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.core.backoffice import ChoiceFilter, Question, ReadOnlyAdmin, page_action
from apps.core.wording import counted
from apps.messaging import wording as messaging
from apps.messaging.models import Message
from apps.workflows import plan, selectors, services, wording
from apps.workflows.models import Enrollment, EnrollmentQuerySet, Workflow

WORKFLOW = "workflow__id__exact"
LEAVE = Question(
    "Take out of the workflow?",
    "They leave at once and get none of its further mails. It can't be undone; a new event may let "
    "them in again.",
    "Take out",
    is_danger=True,
)


class StepFilter(ChoiceFilter):
    """Who is at a step now; offered once a workflow is chosen."""

    title = "step they are at"
    parameter_name = "step"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        workflow = _chosen_workflow(request)
        counts = selectors.step_counts(workflow) if workflow else {}
        return [(step, f"{step} ({count})") for step, count in counts.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        workflow = _chosen_workflow(request)
        if not self.value() or workflow is None:
            return queryset
        return queryset & selectors.enrollments_at(workflow, str(self.value()))


def _chosen_workflow(request: HttpRequest) -> Workflow | None:
    chosen = request.GET.get(WORKFLOW, "")
    return Workflow.objects.filter(pk=int(chosen)).first() if chosen.isdecimal() else None


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnlyAdmin):
    """One contact's passage through one workflow."""

    heading = "People in workflows"
    list_display = ["contact", "workflow", "state", "entry_key", "entered_at", "wake_at"]
    list_select_related = ["contact", "workflow"]
    list_filter = ["workflow", "status", StepFilter]
    sortable_by = ()
    ordering = ["-id"]
    search_fields = ["entry_key"]
    search_help_text = "E-mail address of a contact, in full"
    actions = ["exit_selected"]
    actions_detail = ["leave"]
    change_form_template = "admin/workflows/enrollment_page.html"
    empty_text = "Nobody has entered a workflow yet. That takes a live workflow and its event."

    @admin.display(description="state")
    def state(self, enrollment: Enrollment) -> str:
        return wording.state_of(enrollment)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("context", "exit_values")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        return queryset.filter(contact__email=search_term.strip().lower()), False

    def read_page(self, request: HttpRequest, row: Enrollment) -> dict[str, Any]:
        messages = Message.objects.filter(origin_type="workflow", origin_id=row.pk)
        loaded = plan.load({row.version_id})[row.version_id]
        is_inside = row.status == Enrollment.Status.LIVE
        return {
            "enrollment": row,
            "state": wording.state_of(row),
            "step_id": loaded.at(row.pc)["id"] if is_inside else "",
            "lines": [(log, wording.line_of(log)) for log in row.log.order_by("id")],
            "messages_of": [
                (message, messaging.subject_of(message), messaging.headline(message))
                for message in messages.select_related(
                    "content", "template_version__template"
                ).order_by("id")
            ],
        }

    # --- what staff may do ----------------------------------------------------------------------

    def offered_actions(self, row: Enrollment) -> Collection[str]:
        """Only who is inside can be taken out."""
        return self.actions_detail if row.status == Enrollment.Status.LIVE else ()

    @page_action(description="Take out", permission="act", icon="logout")
    def leave(self, request: HttpRequest, object_id: str) -> HttpResponse:
        enrollment = self.get_object_or_404(request, object_id)
        return self.carry_out(
            request, enrollment, question=LEAVE, act=lambda: _exit(request, [enrollment.pk])
        )

    @admin.action(description="Take out of the workflow…", permissions=["act"])
    def exit_selected(
        self, request: HttpRequest, queryset: EnrollmentQuerySet
    ) -> HttpResponse | None:
        return self.carry_out_selected(
            request,
            queryset,
            question=LEAVE,
            act=lambda: _exit(request, list(queryset.values_list("pk", flat=True))),
        )


def _exit(request: HttpRequest, ids: list[int]) -> str:
    count = services.exit_enrollments(
        ids=ids, now=timezone.now(), values={"by": request.user.get_username()}
    )
    return f"{counted(count, 'contact')} left the workflow."
