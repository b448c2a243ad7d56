"""Mails that ask somebody to confirm something, with what became of them."""

from typing import Any

from django.contrib import admin

from apps.core.backoffice import ReadOnlyAdmin
from apps.messaging import wording
from apps.messaging.models import ServiceMail


@admin.register(ServiceMail)
class ServiceMailAdmin(ReadOnlyAdmin):
    """One of them. Whom it went to is forgotten as soon as it is settled."""

    heading = "Service mails"
    list_display = ["template", "status", "why", "queued_at", "closed_at"]
    list_select_related = ["template"]
    list_filter = ["status"]
    sortable_by = ()
    ordering = ["-queued_at", "-id"]
    empty_text = "A sign-up form sends its first one as soon as somebody signs up."
    fieldsets = [
        ("What, to whom", {"fields": ["template", "email", "send_key"]}),
        ("How far", {"fields": ["status", "why", "due_at", "failure_count", "provider_id"]}),
        ("When", {"fields": ["queued_at", "closed_at"]}),
    ]

    @admin.display(description="why")
    def why(self, mail: Any) -> str:
        return wording.reason_in_words(mail.reason) if mail.reason else "–"
