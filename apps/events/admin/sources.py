"""Where events come from, and the keys of each source."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from apps.core.backoffice import PageAdmin, Question, page_action
from apps.events import services, signatures
from apps.events.models import Source


@admin.register(Source)
class SourceAdmin(PageAdmin):
    """A website or server that sends events."""

    list_display = ["name", "public_key", "secret_key_hint", "is_active", "created_at"]
    sortable_by = ["name"]
    ordering = ["name"]
    change_form_template = "admin/events/source_page.html"
    fieldsets = [(None, {"fields": ["name", "is_active", "is_consent_settled"]})]
    add_fieldsets = [(None, {"fields": ["name", "is_consent_settled"]})]
    actions_detail = ["rotate_secret_key", "rotate_identity_secret"]
    empty_text = (
        "A source is a website or server that sends events. Make one to get its keys: a public key "
        "for browsers and a secret key for servers."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Cuepost's own source has no keys that anybody could use."""
        return super().get_queryset(request).filter(is_internal=False)

    def read_page(self, request: HttpRequest, row: Source) -> dict[str, Any]:
        may_change = self.has_change_permission(request, row)
        secret = signatures.identity_secret(row) if may_change else ""
        return {"source": row, "base_url": settings.BASE_URL, "identity_secret": secret}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its events stay, so it stays; switched off it takes nothing."""
        return False

    @sensitive_variables("secret_key")
    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        if change:
            services.change_source(source=obj)
            return
        source, secret_key = services.create_source(
            name=obj.name, is_consent_settled=obj.is_consent_settled, now=timezone.now()
        )
        obj.__dict__.update(source.__dict__)
        # For the answer to this very request, and for no other.
        obj.secret_key = secret_key  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: Source, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret key, this once: nothing that could show it again is stored."""
        return self._show_keys(request, obj, obj.secret_key)  # type: ignore[attr-defined]

    @page_action(description="New secret key", permission="change", icon="key")
    @sensitive_variables("secret_key")
    def rotate_secret_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        source = self.get_object_or_404(request, object_id)
        if request.method == "POST":
            secret_key = services.rotate_secret_key(source=source)
            self.log_change(request, source, "Made a new secret key.")
            return self._show_keys(request, source, secret_key)
        question = Question(
            f"New secret key for {source}?",
            "The present one stops working within seconds; whatever uses it needs the new one.",
            "Make a new key",
            is_danger=True,
        )
        return self.carry_out(request, source, question=question, act=str)

    @page_action(description="New identity secret", permission="change", icon="fingerprint")
    def rotate_identity_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        source = self.get_object_or_404(request, object_id)

        def act() -> str:
            services.rotate_identity_secret(source=source)
            self.log_change(request, source, "Made a new identity secret.")
            return "The new identity secret is on this page. Give it to your server."

        question = Question(
            f"New identity secret for {source}?",
            "Signatures made with the present one prove nothing from then on: visitors who log in "
            "stay unknown to us until your server signs with the new one.",
            "Make a new secret",
            is_danger=True,
        )
        return self.carry_out(request, source, question=question, act=act)

    @sensitive_variables("secret_key")
    def _show_keys(self, request: HttpRequest, source: Source, secret_key: str) -> TemplateResponse:
        context = {
            "title": f"The keys of {source}",
            "object": source,
            "source": source,
            "secret_key": secret_key,
            "base_url": settings.BASE_URL,
        }
        return self.render(request, "admin/events/source_keys.html", context)
