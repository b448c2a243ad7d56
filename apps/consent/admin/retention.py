"""How long each kind of data is kept, and what would go now."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from apps.consent import retention
from apps.consent.models import Retention
from apps.consent.registry import stores
from apps.core.backoffice import StaffAdmin


class RetentionForm(forms.ModelForm):
    """After how many days data of one kind goes."""

    def clean_keep_days(self) -> int | None:
        days: int | None = self.cleaned_data["keep_days"]
        try:
            retention.check(key=self.instance.key, keep_days=days)
        except retention.NotAllowed as problem:
            raise forms.ValidationError(str(problem)) from problem
        return days


@admin.register(Retention)
class RetentionAdmin(StaffAdmin):
    """One kind of data, and after how many days it goes."""

    heading = "How long data is kept"
    form = RetentionForm
    list_display = ["name", "kept", "would_go", "note"]
    sortable_by = ()
    ordering = ["key"]
    fields = ["name", "note", "keep_days", "would_go"]
    readonly_fields = ["name", "note", "would_go"]

    @admin.display(description="data")
    def name(self, rule: Retention) -> str:
        store = stores().get(rule.key)
        return store.name if store else rule.key

    @admin.display(description="what it is")
    def note(self, rule: Retention) -> str:
        store = stores().get(rule.key)
        return store.note if store else ""

    @admin.display(description="kept for")
    def kept(self, rule: Retention) -> str:
        return f"{rule.keep_days:,} days" if rule.keep_days else "until erased"

    @admin.display(description="would go tonight")
    def would_go(self, rule: Retention) -> str:
        return f"{retention.count_due(rule=rule, now=timezone.now()):,}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
