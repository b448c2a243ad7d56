"""The ledger of consents, to read and to add to, and the addresses that are kept silent."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils import timezone
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from apps.consent import services
from apps.consent.models import ConsentRecord, ConsentState, Purpose, Suppression
from apps.contacts.services import normalize_email
from apps.core.backoffice import ReadOnlyAdmin, StaffAdmin, has_perm
from apps.core.pages import object_url


class ConsentForm(forms.ModelForm):
    """What somebody told staff, and how staff knows."""

    note = forms.CharField(
        label="What was said",
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Kept as evidence, for example: on the phone, asked for offers about tea.",
    )

    class Meta:
        model = ConsentRecord
        fields = ["contact", "purpose", "status", "source"]
        help_texts = {"source": "Where it was said: phone, letter, counter."}

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        contact, purpose = data.get("contact"), data.get("purpose")
        holds = ConsentState.objects.filter(
            contact=contact, purpose=purpose, status=data.get("status")
        )
        if contact and purpose and holds.exists():
            raise forms.ValidationError("That is what holds already; there is nothing to record.")
        return data


@admin.register(ConsentRecord)
class ConsentRecordAdmin(ReadOnlyAdmin):
    """One statement of one person; kept as proof, never changed."""

    heading = "Consent records"
    list_display = ["contact", "purpose", "status", "method", "source", "recorded_at"]
    list_display_links = ["recorded_at"]
    list_select_related = ["contact", "purpose"]
    sortable_by = ()
    ordering = ["-id"]
    autocomplete_fields = ["contact"]
    empty_text = "Consents appear here as your shop reports them, or when you record one."
    form = ConsentForm
    fieldsets = [
        ("Who said what", {"fields": ["contact", "purpose", "status"]}),
        (
            "How it is known",
            {
                "fields": [
                    "method", "source", "wording_version", "jurisdiction", "evidence",
                    "recorded_at",
                ]
            },
        ),
        (
            "The chain",
            {
                "description": "Each record seals its content and the seal before it, so that a "
                "changed or missing record shows.",
                "fields": ["previous_hash", "record_hash"],
            },
        ),
    ]  # fmt: skip
    add_fieldsets = [(None, {"fields": ["contact", "purpose", "status", "source", "note"]})]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return has_perm(request, "consent.add_consentrecord")

    def save_model(self, request: HttpRequest, obj: ConsentRecord, form: Any, change: bool) -> None:
        evidence = {
            "note": form.cleaned_data["note"],
            "recorded_by": request.user.get_username(),
        }
        statement = services.Statement(
            contact_id=obj.contact_id,
            purpose=obj.purpose_id,
            status=obj.status,
            method=ConsentRecord.Method.STAFF,
            source=obj.source,
            evidence=evidence,
        )
        services.record_consents(statements=[statement], now=timezone.now())
        state = ConsentState.objects.get(contact=obj.contact_id, purpose=obj.purpose_id)
        obj.pk = state.record_id

    def response_post_save_add(
        self, request: HttpRequest, obj: ConsentRecord
    ) -> HttpResponseRedirect:
        """Back to the person, whose page shows what holds now."""
        return HttpResponseRedirect(object_url(obj.contact))


@admin.register(Purpose)
class PurposeAdmin(StaffAdmin):
    """What people are asked for."""

    list_display = ["name", "key", "description"]
    ordering = ["key"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The product itself asks for the purposes that it came with."""
        return False


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
    form = SuppressionForm
    fields = ["reason", "suppressed_at", "email_hash"]
    add_fieldsets = [(None, {"fields": ["email"]})]

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

    def has_add_permission(self, request: HttpRequest) -> bool:
        return has_perm(request, "consent.add_suppression")

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        email = form.cleaned_data["email"]
        reason = Suppression.Reason.MANUAL
        services.suppress(emails=[email], reason=reason, now=timezone.now())
        found = services.find_suppression(email)
        obj.pk = found.pk if found else None
        obj.email_hash = found.email_hash if found else ""
