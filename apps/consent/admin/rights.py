"""The queue of privacy requests: what is due, overdue and done."""

from collections.abc import Callable, Collection
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.consent import rights, selectors
from apps.consent.models import Erasure, PrivacyRequest, Restriction
from apps.core.backoffice import ChoiceFilter, Question, ReadOnlyAdmin, has_perm, page_action
from apps.core.pages import object_url
from apps.core.signals import personal_data_accessed

State = PrivacyRequest.Status
CHANGE = "consent.change_privacyrequest"


class RequestForm(forms.ModelForm):
    """A request that reached staff by letter, mail or phone, from somebody they have checked."""

    class Meta:
        model = PrivacyRequest
        fields = ["contact", "kind", "details"]
        help_texts = {
            "contact": "Take it in only once you know that it is them: their own address, an ID.",
            "kind": "Erasure, restriction, objection and opt-out take effect as soon as you save.",
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("kind") == PrivacyRequest.Kind.CORRECT and not data.get("details"):
            self.add_error("details", "Say what is wrong, and how it is right.")
        return data


class ReasonForm(forms.Form):
    """Why, in a sentence."""

    reason = forms.CharField(
        label="Reason", max_length=300, widget=UnfoldAdminTextInputWidget(), help_text="Kept."
    )


class DueFilter(ChoiceFilter):
    title = "due"
    parameter_name = "due"
    choices_in_words = (
        ("open", "to be done"),
        ("overdue", "overdue"),
        ("check", "to be checked who asks"),
        ("closed", "closed"),
    )

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "open":
                return queryset.open()
            case "overdue":
                return queryset.overdue(timezone.now().date())
            case "check":
                return queryset.filter(status=State.UNVERIFIED)
            case "closed":
                return queryset.exclude(status__in=[State.OPEN, State.UNVERIFIED])
        return queryset


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(ReadOnlyAdmin):
    """What somebody asks for about their data, and by when."""

    heading = "Privacy requests"
    form = RequestForm
    list_display = ["kind", "who", "law", "how_far", "due", "received_at"]
    list_select_related = ["contact"]
    list_filter = [DueFilter, "kind", "law"]
    sortable_by = ["due_on", "received_at"]
    ordering = ["-status", "due_on", "-pk"]
    autocomplete_fields = ["contact"]
    empty_text = (
        "Nobody has asked yet. People ask on the preference page, to which each mail leads; what "
        "reaches you by letter or phone you add here."
    )
    list_before_template = "admin/consent/privacy_numbers.html"
    change_form_template = "admin/consent/privacy_request_page.html"
    actions_detail = ["take", "prove", "extend", "done", "refuse", "lift"]

    @admin.display(description="contact", ordering="contact")
    def who(self, request: PrivacyRequest) -> str:
        return "nobody any more" if request.contact.erased_at else str(request.contact)

    @admin.display(description="status", ordering="status")
    def how_far(self, request: PrivacyRequest) -> str:
        return request.get_status_display()

    @admin.display(description="due", ordering="due_on")
    def due(self, request: PrivacyRequest) -> str:
        if request.status not in (State.OPEN, State.UNVERIFIED):
            return "–"
        left = (request.due_on - timezone.now().date()).days
        return f"{request.due_on:%Y-%m-%d}" + (f", {-left} days late" if left < 0 else "")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        numbers = {"numbers": selectors.measure_requests(timezone.now())}
        return super().changelist_view(request, {**(extra_context or {}), **numbers})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return has_perm(request, "consent.add_privacyrequest")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        told = form.cleaned_data
        asked = rights.ask(
            contact=told["contact"],
            kind=told["kind"],
            details=told["details"],
            by=request.user.get_username(),
            now=timezone.now(),
        )
        obj.pk = asked.pk
        obj.refresh_from_db()

    def read_page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {
            "asked": row,
            "steps": row.steps.order_by("pk"),
            "erasure": Erasure.objects.filter(contact_id=row.contact_id).first(),
            "is_overdue": row.status == State.OPEN and row.due_on < timezone.now().date(),
        }

    def offered_actions(self, row: Any) -> Collection[str]:
        if row.kind == PrivacyRequest.Kind.RESTRICT and row.status == State.DONE:
            return ["lift"] if Restriction.objects.filter(contact=row.contact_id) else []
        if rights.find_copy(row, timezone.now()):
            return ["take"]
        offered = {
            State.UNVERIFIED: ["prove", "refuse"],
            State.OPEN: ["extend", "done", "refuse"],
        }.get(row.status, [])
        return [name for name in offered if not (name == "extend" and row.is_extended)]

    def has_export_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_perm(request, "contacts.export_contact")

    @page_action(description="Download the copy", permission="export", icon="download")
    def take(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """For whom no mail reaches: staff hands it over."""
        row = self.view_object(request, object_id)
        now = timezone.now()
        path = rights.find_copy(row, now)
        if path is None:
            raise Http404
        personal_data_accessed.send(
            sender=PrivacyRequest,
            user=request.user,
            kind="export",
            what="the copy of a privacy request",
            contact_ids=[row.contact_id],
            count=1,
            path=request.path_info,
            now=now,
        )
        return FileResponse(path.open("rb"), as_attachment=True, filename="data.zip")

    @page_action(description="It is them", permission="act", icon="how_to_reg")
    def prove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.view_object(request, object_id)
        by, now = request.user.get_username(), timezone.now()

        def act() -> str:
            rights.verify(request=row, by=by, now=now)
            return "Noted that you have checked who asks."

        question = Question(
            "Have you checked who asks?",
            "What they ask for is done, where it can be done at once. An erasure can’t be undone.",
            "It is them",
            is_danger=row.kind == PrivacyRequest.Kind.ERASE,
        )
        return self.carry_out(
            request, row, question=question, act=act, problems=(rights.NotPossible,)
        )

    @page_action(description="Take longer", permission="act", icon="more_time")
    def extend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.view_object(request, object_id)
        text = (
            "The law grants longer once, for a complex request. Tell the person why before the "
            "first day it was due."
        )

        def act(reason: str) -> None:
            by = request.user.get_username()
            rights.extend(request=row, reason=reason, by=by, now=timezone.now())

        return self._ask_why(request, row, "Take longer?", text, act)

    @page_action(description="Done", permission="act", icon="check")
    def done(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._close(request, object_id, is_done=True)

    @page_action(description="Refuse", permission="act", icon="block", variant="danger")
    def refuse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._close(request, object_id, is_done=False)

    @page_action(description="Use the data again", permission="act", icon="lock_open")
    def lift(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.view_object(request, object_id)
        by, now = request.user.get_username(), timezone.now()

        def act() -> str:
            rights.lift_restriction(request=row, by=by, now=now)
            return "Their data may be used again."

        question = Question(
            "Use their data again?",
            "They have to be told before. Mails and workflows go on as far as they allow them.",
            "Use the data again",
        )
        return self.carry_out(request, row, question=question, act=act)

    def _close(self, request: HttpRequest, object_id: str, *, is_done: bool) -> HttpResponse:
        row = self.view_object(request, object_id)

        def act(reason: str) -> None:
            rights.close(
                request=row,
                is_done=is_done,
                outcome=reason,
                by=request.user.get_username(),
                now=timezone.now(),
            )

        title = "Done?" if is_done else "Refuse this request?"
        text = (
            "Say in a sentence what was done."
            if is_done
            else "Say on which ground of the law. The person has to be told, and that they may "
            "complain to the authority."
        )
        return self._ask_why(request, row, title, text, act)

    def _ask_why(
        self, request: HttpRequest, row: Any, title: str, text: str, act: Callable[[str], None]
    ) -> HttpResponse:
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                act(form.cleaned_data["reason"])
                self.message_user(request, "Noted.", messages.SUCCESS)
            except rights.NotPossible as problem:
                self.message_user(request, str(problem), messages.ERROR)
            return HttpResponseRedirect(object_url(row))
        context = {
            "title": title,
            "form": form,
            "object": row,
            "text": text,
            "button": "Save",
            "back": object_url(row),
        }
        return self.render(request, "admin/consent/ask.html", context)
