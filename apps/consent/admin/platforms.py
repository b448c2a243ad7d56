"""Consent platforms of others, and what their signals mean here."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from apps.consent import links, platforms
from apps.consent.models import CmpConnection, ForeignSignal
from apps.core.backoffice import PageAdmin, Question, StaffAdmin, has_perm, page_action


@admin.register(CmpConnection)
class CmpConnectionAdmin(PageAdmin):
    """A consent platform that tells us what people told it."""

    heading = "Consent platforms"
    list_display = ["name", "is_active", "created_at"]
    sortable_by = ["name"]
    ordering = ["name"]
    change_form_template = "admin/consent/platform_page.html"
    actions_detail = ["rotate_secret"]
    empty_text = (
        "Where a consent platform asks your visitors, connect it here: it sends each answer, "
        "signed, and the ledger keeps it."
    )
    fields = ["name", "is_active"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The ledger names it; one that is not used any more is switched off."""
        return False

    def offered_actions(self, row: Any) -> Collection[str]:
        return self.actions_detail

    def read_page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        may_see = has_perm(request, "consent.change_cmpconnection")
        return {
            "platform": row,
            "url": links.cmp_url(row.key),
            "secret": row.secret if may_see else "",
            "receipt_count": row.receipts.count(),
        }

    @page_action(description="New secret", permission="change", icon="key")
    def rotate_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.get_object_or_404(request, object_id)

        def act() -> str:
            platforms.rotate_secret(connection=connection)
            self.log_change(request, connection, "Made a new secret.")
            return "The new secret is on this page. Give it to the platform."

        question = Question(
            f"New secret for {connection}?",
            "What the platform signs with the present one is refused at once.",
            "Make a new secret",
            is_danger=True,
        )
        return self.carry_out(request, connection, question=question, act=act)


@admin.register(ForeignSignal)
class ForeignSignalAdmin(StaffAdmin):
    """What one signal of the IAB's or Google's framework stands for here."""

    heading = "Signals of others"
    list_display = ["framework", "signal", "purpose"]
    list_display_links = ["signal"]
    list_select_related = ["purpose"]
    list_filter = ["framework"]
    sortable_by = ()
    ordering = ["framework", "purpose", "signal"]
    fields = ["framework", "signal", "purpose"]
    empty_text = "Without any, TCF strings and Google Consent Mode say nothing here."
