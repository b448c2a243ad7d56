"""Texts: what is written, how it looks, and putting a new version to use."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apps.contacts.models import Contact
from apps.core.backoffice import PageAdmin, has_perm
from apps.core.viewing import SEE_PEOPLE
from apps.messaging import preview, publishing, services, wording
from apps.messaging.admin.frame import frame
from apps.messaging.models import Template, TemplateVersion
from apps.messaging.rendering import TemplateError

STARTER = """<html><body>
<p>Hello {{ contact.first_name | default: "there" }},</p>
<p>…</p>
<p><a href="{{ links.unsubscribe }}">Unsubscribe</a></p>
</body></html>
"""


class TemplateForm(forms.ModelForm):
    """A text, checked as it will be when it is sent."""

    subject = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget(),
        help_text="May use variables, such as {{ contact.first_name }}.",
    )
    html = forms.CharField(
        label="HTML",
        strip=False,
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 28, "class": "cp-code", "spellcheck": "false"}
        ),
        help_text=(
            "Liquid: contact, first_name, last_name, email, event, cart, order, links, sender. A "
            "link to unsubscribe and your postal address are added where the text has none."
        ),
    )

    class Meta:
        model = Template
        fields = ["name", "key", "purpose", "topic"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = _newest(self.instance) if self.instance.pk else None
        if "html" in self.fields:
            self.fields["subject"].initial = newest.subject if newest else ""
            self.fields["html"].initial = newest.html if newest else STARTER

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if "subject" in data and "html" in data:
            try:
                publishing.prepare(
                    subject=data["subject"],
                    html=data["html"],
                    is_service=self.instance.is_service,
                )
            except TemplateError as problem:
                self.add_error("html", in_words(problem))
        return data


@admin.register(Template)
class TemplateAdmin(PageAdmin):
    """One e-mail, in all its versions."""

    form = TemplateForm
    list_display = ["name", "key", "purpose", "published", "updated_at"]
    list_select_related = ["purpose"]
    sortable_by = ["name", "key"]
    search_fields = ["name", "key"]
    search_help_text = "Name or key"
    ordering = ["name"]
    change_form_template = "admin/messaging/template_page.html"
    empty_text = "Write a mail here, or install a recipe of a workflow: it brings its mails along."
    fieldsets = [
        ("What it is", {"fields": ["name", "key", "purpose", "topic"]}),
        ("What it says", {"fields": ["subject", "html"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        is_published = Q(versions__published_at__isnull=False)
        newest = Max("versions__number", filter=is_published)
        templates: QuerySet[Any] = super().get_queryset(request).annotate(newest=newest)
        return templates

    @admin.display(description="published")
    def published(self, template: Any) -> str:
        return f"version {template.newest}" if template.newest else "not yet"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Workflows name the key, so it stays."""
        return ["key"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Messages show what they said by its versions."""
        return False

    def read_page(self, request: HttpRequest, row: Template) -> dict[str, Any]:
        versions = row.versions.order_by("-number").defer("html")
        contact = _chosen_contact(request)
        shown = _shown_version(request, row)
        rendered = _render(row, shown, contact) if shown else preview.Preview()
        return {
            "template": row,
            "versions": list(versions[:50]),
            "shown": shown,
            "contact": contact,
            "preview": rendered,
            "problem": in_words(rendered.problem) if rendered.problem else "",
            "query": request.GET.urlencode(),
        }

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change or {"subject", "html"} & set(form.changed_data):
            services.publish(
                template=obj,
                subject=form.cleaned_data["subject"],
                html=form.cleaned_data["html"],
                now=timezone.now(),
            )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.frame_view)
        own = path("<path:object_id>/frame/", view, name="messaging_template_frame")
        return [own, *super().get_urls()]

    def frame_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The text as one contact would see it."""
        template = self.view_object(request, object_id)
        contact, shown = _chosen_contact(request), _shown_version(request, template)
        return frame(_render(template, shown, contact).html if shown else "")


def in_words(problem: TemplateError) -> str:
    """What is wrong with a text, and where."""
    told = "; ".join(str(value) for value in problem.values.values())
    words = wording.reason_in_words(problem.reason)
    return f"{words[:1].upper()}{words[1:]}: {told}" if told else words


def _newest(template: Template) -> TemplateVersion | None:
    return template.versions.order_by("-number").first()


def _shown_version(request: HttpRequest, template: Template) -> TemplateVersion | None:
    number = request.GET.get("version", "")
    if number.isdecimal():
        return template.versions.filter(number=int(number)).first() or _newest(template)
    return _newest(template)


def _chosen_contact(request: HttpRequest) -> Contact:
    """Whom the preview is for; somebody invented for staff who may not see people."""
    if not (has_perm(request, "contacts.view_contact") and has_perm(request, SEE_PEOPLE)):
        return preview.invented_contact()
    return preview.find_contact(request.GET.get("contact", ""))


def _render(template: Template, version: TemplateVersion, contact: Contact) -> preview.Preview:
    return preview.render(
        template=template, subject=version.subject, html=version.html, contact=contact
    )
