"""The addresses that are kept silent: to look up, to add to, and to let go with a reason."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextInputWidget,
)

from apps.consent import services, suppressions
from apps.consent.models import LiftedSuppression, Suppression
from apps.contacts.services import normalize_email
from apps.core.backoffice import ReadOnlyAdmin, has_perm, page_action
from apps.core.pages import object_url

LIFT = "consent.lift_suppression"
LIFT_COMPLAINT = "consent.lift_complaint"


class SuppressionForm(forms.ModelForm):
    """An address that is never to be written to again."""

    email = forms.EmailField(
        label="E-mail address",
        widget=UnfoldAdminEmailInputWidget(),
        help_text="Kept as a keyed hash only. It outlives the person's data.",
    )

    class Meta:
        model = Suppression
        fields: list[str] = []

    def clean_email(self) -> str:
        email = normalize_email(self.cleaned_data["email"])
        if email is None:
            raise forms.ValidationError("This is not an e-mail address.")
        found = services.find_suppression(email)
        if found and found.reason != Suppression.Reason.UNSUBSCRIBED:
            raise forms.ValidationError(
                f"It is silent already, since {found.suppressed_at:%Y-%m-%d}: "
                f"{found.get_reason_display()}."
            )
        return email


class ListForm(forms.Form):
    """Addresses from another system."""

    file = forms.FileField(
        label="CSV file",
        widget=UnfoldAdminFileFieldWidget(),
        help_text="The column “email” is read, or the first one where no column is called so.",
    )


class LiftForm(forms.Form):
    """Why an address may be written to again."""

    explanation = forms.CharField(
        label="Why",
        max_length=300,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Kept with your name, for example: the mailbox works again, they called.",
    )


@admin.register(Suppression)
class SuppressionAdmin(ReadOnlyAdmin):
    """An address that is kept silent."""

    list_display = ["reason", "suppressed_at", "short_hash"]
    sortable_by = ()
    list_filter = ["reason"]
    ordering = ["-id"]
    search_fields = ["email_hash"]
    search_help_text = "A whole e-mail address"
    empty_text = "No address is silent. Unsubscribing, a hard bounce or a complaint adds one."
    change_list_template = "admin/consent/suppression_list.html"
    change_form_template = "admin/consent/suppression_page.html"
    form = SuppressionForm
    fields = ["reason", "suppressed_at", "email_hash"]
    add_fieldsets = [(None, {"fields": ["email"]})]
    actions_detail = ["lift"]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = path("import/", wrap(self.import_list), name="consent_suppression_import")
        return [own, *super().get_urls()]

    @admin.display(description="address, as a hash")
    def short_hash(self, suppression: Suppression) -> str:
        return f"{suppression.email_hash[:12]}…"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Addresses are stored as hashes, so only a whole one can be found."""
        if not search_term:
            return queryset, False
        found = services.find_suppression(search_term)
        is_meant = Q(pk=found.pk if found else None) | Q(email_hash=search_term.strip())
        return queryset.filter(is_meant), False

    def read_page(self, request: HttpRequest, row: Suppression) -> dict[str, Any]:
        lifted = LiftedSuppression.objects.filter(email_hash=row.email_hash)
        is_complaint = row.reason == Suppression.Reason.COMPLAINED
        return {
            "suppression": row,
            "is_complaint": is_complaint,
            "lifted_before": lifted.order_by("-lifted_at"),
        }

    def has_add_permission(self, request: HttpRequest) -> bool:
        return has_perm(request, "consent.add_suppression")

    def has_lift_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return has_perm(request, LIFT)

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        email = form.cleaned_data["email"]
        reason = Suppression.Reason.MANUAL
        services.suppress(emails=[email], reason=reason, now=timezone.now())
        found = services.find_suppression(email)
        obj.pk = found.pk if found else None
        obj.email_hash = found.email_hash if found else ""

    @page_action(description="Write to it again", permission="lift", icon="lock_open")
    def lift(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask why, keep the answer, and let the address go."""
        row = self.view_object(request, object_id)
        if not self._may_lift(request, row):
            raise PermissionDenied
        form = LiftForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            explanation = form.cleaned_data["explanation"]
            return self._lift(request, row, explanation)
        context = {
            "title": "Write to this address again?",
            "form": form,
            "object": row,
            "text": "Mails go out to it again as far as the person allows them. What you answer "
            "is kept with your name.",
            "button": "Write to it again",
            "back": object_url(row),
        }
        return self.render(request, "admin/consent/ask.html", context)

    def import_list(self, request: HttpRequest) -> HttpResponse:
        """Take a list of addresses from another system."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ListForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid() and self._import(request, form):
            return HttpResponseRedirect(reverse("admin:consent_suppression_changelist"))
        context = {
            "title": "Import addresses that are never written to",
            "form": form,
            "text": "Bring along who unsubscribed, complained or bounced where you sent before.",
            "button": "Import",
            "back": reverse("admin:consent_suppression_changelist"),
        }
        return self.render(request, "admin/consent/ask.html", context)

    def _may_lift(self, request: HttpRequest, row: Suppression) -> bool:
        """Whoever called it spam is written to again only if an administrator takes it on."""
        needed = LIFT_COMPLAINT if row.reason == Suppression.Reason.COMPLAINED else LIFT
        return has_perm(request, needed)

    def _lift(self, request: HttpRequest, row: Suppression, explanation: str) -> HttpResponse:
        try:
            services.lift_suppression(
                suppression_id=row.pk,
                explanation=explanation,
                by=request.user.get_username(),
                now=timezone.now(),
            )
            self.message_user(request, "It may be written to again.", messages.SUCCESS)
        except services.NotLifted as problem:
            self.message_user(request, str(problem), messages.ERROR)
        return HttpResponseRedirect(reverse("admin:consent_suppression_changelist"))

    def _import(self, request: HttpRequest, form: ListForm) -> bool:
        try:
            report = suppressions.import_list(form.cleaned_data["file"].file, now=timezone.now())
        except suppressions.BadList as problem:
            form.add_error("file", str(problem))
            return False
        self.message_user(
            request,
            f"{report.added:,} addresses are silent from now on, {report.known:,} were so already, "
            f"{report.bad:,} rows hold no address.",
            messages.SUCCESS,
        )
        return True


@admin.register(LiftedSuppression)
class LiftedSuppressionAdmin(ReadOnlyAdmin):
    """Who let an address be written to again, and why."""

    heading = "Lifted suppressions"
    list_display = ["lifted_at", "lifted_by", "reason", "suppressed_at", "explanation"]
    sortable_by = ()
    ordering = ["-id"]
    empty_text = "Nobody has let a silent address be written to again."
    change_form_template = None
    fields = [
        "reason", "suppressed_at", "lifted_at", "lifted_by", "explanation", "email_hash",
    ]  # fmt: skip

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """There is no page beside the fields."""
        return super(ReadOnlyAdmin, self).change_view(request, *args, **kwargs)
