"""The tracking plan: its events, their rules, and what broke them."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.core.backoffice import Question, page_action
from apps.events import definitions, selectors, validation
from apps.events.admin.health import HealthPages
from apps.events.models import EventDefinition


class RulesField(forms.JSONField):
    """JSON that people can read."""

    def prepare_value(self, value: Any) -> Any:
        """What was typed and is no JSON stays as it was typed."""
        if isinstance(value, str):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)


class DefinitionForm(forms.ModelForm):
    """The rules as JSON; a mistake is told with its place."""

    class Meta:
        model = EventDefinition
        fields = ["name", "description", "schema", "natural_key", "choice"]
        field_classes = {"schema": RulesField}
        widgets = {
            "schema": UnfoldAdminTextareaWidget(
                attrs={"rows": 18, "class": "cp-code", "spellcheck": "false"}
            )
        }

    def clean_schema(self) -> dict[str, Any]:
        schema = self.cleaned_data["schema"] or {}
        try:
            validation.check_schema(schema)
        except validation.BadSchema as problem:
            raise forms.ValidationError(str(problem)) from problem
        return dict(schema)


@admin.register(EventDefinition)
class EventDefinitionAdmin(HealthPages):
    """One event of the tracking plan."""

    form = DefinitionForm
    heading = "Tracking plan"
    list_display = ["name", "origin", "choice", "mistakes", "last_seen_at"]
    list_filter = ["origin", "choice"]
    sortable_by = ["name", "last_seen_at"]
    search_fields = ["name"]
    search_help_text = "Name of the event"
    ordering = ["name"]
    change_form_template = "admin/events/definition_page.html"
    actions_detail = ["adopt_seen"]
    fieldsets = [
        ("What", {"fields": ["name", "description"]}),
        ("What it holds", {"fields": ["schema", "natural_key"]}),
        ("What becomes of it", {"fields": ["choice"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        count = Coalesce(Sum("violations__count"), 0)
        rows: QuerySet[Any] = super().get_queryset(request).annotate(mistake_count=count)
        return rows

    @admin.display(description="mistakes (90 days)")
    def mistakes(self, definition: Any) -> str:
        return f"{definition.mistake_count:,}" if definition.mistake_count else "–"

    def read_page(self, request: HttpRequest, row: EventDefinition) -> dict[str, Any]:
        return {
            "definition": row,
            "properties": selectors.properties_of(row),
            "mistakes": selectors.newest_violations(row),
        }

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A name is what events are found by; the built-in ones come from the specification."""
        return ["name"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A built-in one would come back with the next update."""
        is_built_in = obj is not None and obj.origin == EventDefinition.Origin.BUILT_IN
        return not is_built_in and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        definitions.forget()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        definitions.forget()

    @page_action(description="Make rules of what was seen", permission="change", icon="rule")
    def adopt_seen(self, request: HttpRequest, object_id: str) -> HttpResponse:
        definition = self.get_object_or_404(request, object_id)

        def act() -> str:
            definitions.adopt_seen(definition)
            self.log_change(request, definition, "Made rules of what was seen.")
            return "From now on its properties are checked for the kinds that were seen."

        question = Question(
            f"Make rules of what was seen of {definition}?",
            "Each property that was seen may then only be of the kinds it had so far. Rules that "
            "are there stay; you can change all of them by hand.",
            "Make rules",
        )
        return self.carry_out(request, definition, question=question, act=act)

    def offered_actions(self, row: EventDefinition) -> list[str]:
        return ["adopt_seen"] if row.seen_properties.keys() - row.rules.keys() else []
