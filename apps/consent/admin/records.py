"""The ledger of consents, to read and to add to."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.consent import services
from apps.consent.models import ConsentRecord, ConsentState
from apps.core.backoffice import ReadOnlyAdmin, has_perm
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
        fields = ["contact", "purpose", "topic", "status", "source"]
        help_texts = {
            "source": "Where it was said: phone, letter, counter.",
            "topic": "Only where they spoke of one kind of mail; empty means all of it.",
        }

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        contact, purpose, topic = data.get("contact"), data.get("purpose"), data.get("topic")
        if topic and topic.purpose != purpose:
            raise forms.ValidationError(f"{topic} belongs to {topic.purpose}.")
        holds = ConsentState.objects.filter(
            contact=contact, purpose=purpose, topic=topic, status=data.get("status")
        )
        if contact and purpose and holds.exists():
            raise forms.ValidationError("That is what holds already; there is nothing to record.")
        return data


@admin.register(ConsentRecord)
class ConsentRecordAdmin(ReadOnlyAdmin):
    """One statement of one person; kept as proof, never changed."""

    heading = "Consent records"
    list_display = ["contact", "purpose", "topic", "status", "method", "source", "recorded_at"]
    list_display_links = ["recorded_at"]
    list_select_related = ["contact", "purpose", "topic"]
    sortable_by = ()
    ordering = ["-id"]
    autocomplete_fields = ["contact"]
    empty_text = "Consents appear here as your shop reports them, or when you record one."
    form = ConsentForm
    fieldsets = [
        ("Who said what", {"fields": ["contact", "purpose", "topic", "status"]}),
        (
            "How it is known",
            {
                "fields": [
                    "method", "source", "source_url", "ip_network", "user_agent",
                    "wording_version", "wording_hash", "jurisdiction", "evidence", "recorded_at",
                    "forgotten_at",
                ]
            },
        ),
        (
            "The chain",
            {
                "description": "Each record seals its content and the seal before it, so that a "
                "changed or missing record shows. What is personal can be erased; the seal "
                "covers a hash of it, so the chain still holds.",
                "fields": ["seal_version", "previous_hash", "record_hash"],
            },
        ),
    ]  # fmt: skip
    add_fieldsets = [
        (None, {"fields": ["contact", "purpose", "topic", "status", "source", "note"]})
    ]

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
            topic=obj.topic_id,
            status=obj.status,
            method=ConsentRecord.Method.STAFF,
            source=obj.source,
            evidence=evidence,
        )
        services.record_consents(statements=[statement], now=timezone.now())
        state = ConsentState.objects.get(
            contact=obj.contact_id, purpose=obj.purpose_id, topic=obj.topic_id
        )
        obj.pk = state.record_id

    def response_post_save_add(
        self, request: HttpRequest, obj: ConsentRecord
    ) -> HttpResponseRedirect:
        """Back to the person, whose page shows what holds now."""
        return HttpResponseRedirect(object_url(obj.contact))
