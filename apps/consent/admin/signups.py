"""Sign-up forms with what to put into a website, and who signed up."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
)

from apps.consent import links, signups
from apps.consent.models import PendingSignup, SignupForm, Topic
from apps.consent.models.signups import check_origin
from apps.core.backoffice import PageAdmin, ReadOnlyAdmin


class SignupFormForm(forms.ModelForm):
    """A form as a marketer sets it up."""

    extra_fields = forms.MultipleChoiceField(
        choices=SignupForm.Field,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="Asked for besides the e-mail address. None of them has to be filled in.",
    )
    allowed_origins = SimpleArrayField(
        forms.CharField(max_length=120, validators=[check_origin]),
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=(
            "The websites that may show it, separated by commas: https://shop.example. Empty: any."
        ),
    )
    redirect_url = forms.URLField(
        label="Page afterwards",
        required=False,
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget(),
        help_text="Where people are sent after they signed up. Empty: a page of ours thanks them.",
    )
    topics = forms.ModelMultipleChoiceField(
        queryset=Topic.objects.filter(is_active=True).order_by("order", "name"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=(
            "What they can ask for. With several, each has a box, and none is ticked beforehand."
        ),
    )

    class Meta:
        model = SignupForm
        fields = [
            "name", "intro", "button", "extra_fields", "purpose", "topics", "is_double_opt_in",
            "is_active", "allowed_origins", "redirect_url",
        ]  # fmt: skip
        widgets = {"intro": UnfoldAdminTextareaWidget(attrs={"rows": 3})}


@admin.register(SignupForm)
class SignupFormAdmin(PageAdmin):
    """A form on some website by which people ask to be written to."""

    heading = "Sign-up forms"
    form = SignupFormForm
    list_display = ["name", "purpose", "is_double_opt_in", "is_active", "confirmed", "waiting"]
    list_select_related = ["purpose"]
    list_filter = ["is_active"]
    sortable_by = ["name"]
    search_fields = ["name"]
    ordering = ["name"]
    change_form_template = "admin/consent/signup_form_page.html"
    empty_text = "A form asks visitors of your website for their address, and asks back by mail."
    fieldsets = [
        ("What people see", {"fields": ["name", "intro", "button", "extra_fields"]}),
        ("What they agree to", {"fields": ["purpose", "topics", "is_double_opt_in"]}),
        ("Where it stands", {"fields": ["is_active", "allowed_origins", "redirect_url"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        status = PendingSignup.Status
        forms_: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = forms_.annotate(
            confirmed_count=Count("signups", filter=Q(signups__status=status.CONFIRMED)),
            waiting_count=Count("signups", filter=Q(signups__status=status.PENDING)),
        )
        return counted

    @admin.display(description="confirmed")
    def confirmed(self, form: Any) -> str:
        return f"{form.confirmed_count:,}"

    @admin.display(description="not confirmed yet")
    def waiting(self, form: Any) -> str:
        return f"{form.waiting_count:,}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The ledger names it; a form that is not wanted any more is switched off."""
        return False

    def read_page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        topics = list(row.topics.filter(is_active=True).order_by("order", "name"))
        wording = signups.find_wording(row)
        return {
            "signup_form": row,
            "topics": topics,
            "statement": wording.text if wording else row.purpose.description,
            "wording": wording,
            "url": links.form_url(row.key),
            "api_url": links.signup_url(row.key),
            "labels": [(name, SignupForm.Field(name).label) for name in row.extra_fields],
        }


@admin.register(PendingSignup)
class PendingSignupAdmin(ReadOnlyAdmin):
    """One sign-up, as long as it is remembered."""

    heading = "Sign-ups"
    list_display = ["asked_at", "form", "status", "contact", "mail_count", "closed_at"]
    list_display_links = ["asked_at"]
    list_select_related = ["form", "contact"]
    list_filter = ["status", "form"]
    sortable_by = ()
    ordering = ["-asked_at", "-id"]
    empty_text = "Nobody has signed up yet."
    fieldsets = [
        ("Who", {"fields": ["form", "address", "contact"]}),
        ("How far", {"fields": ["status", "mail_count", "mailed_at"]}),
        ("When", {"fields": ["asked_at", "expires_at", "closed_at"]}),
    ]

    @admin.display(description="address")
    def address(self, signup: PendingSignup) -> str:
        return str(signup.details.get("email", "forgotten"))
