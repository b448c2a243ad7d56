"""What is known of contacts beside what the product asks for itself."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.contacts import fields
from apps.contacts.forms import ContactFieldForm
from apps.contacts.models import ContactField
from apps.core.backoffice import StaffAdmin


@admin.register(ContactField)
class ContactFieldAdmin(StaffAdmin):
    """One field of contacts that staff has declared."""

    form = ContactFieldForm
    list_display = ["label", "key", "kind", "help_text", "order"]
    sortable_by = ()
    ordering = ["order", "label", "pk"]
    empty_text = (
        "Whatever your systems tell about a person is kept. Declare what you work with, such as a "
        "favorite tea or a birthday: it gets a name, a type that is checked, and a place in the "
        "form of a contact and in files."
    )
    fieldsets = [
        ("What it is called", {"fields": ["label", "key", "help_text", "order"]}),
        ("What it may hold", {"fields": ["kind", "choices"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        fields.forget()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """What is known of people stays with them; only the field is gone."""
        super().delete_model(request, obj)
        fields.forget()
