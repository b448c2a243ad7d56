"""People: the list, the page with all that is known, and what staff may do."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from apps.contacts import export, fields, registry, resources, selectors, services
from apps.contacts.export import CantExport
from apps.contacts.forms import PREFIX, form_with
from apps.contacts.models import Contact, Identity
from apps.contacts.registry import Action
from apps.contacts.selectors import BadPosition, Position, Timeline
from apps.core.backoffice import PageAdmin, Question, has_perm
from apps.core.pages import model_url, object_url
from apps.core.pseudonyms import as_stored
from apps.core.signals import personal_data_accessed

MAX_IDENTITIES = 20
# The log of an export numbers so many contacts one by one.
MAX_NUMBERED = 1000
MAY_EXPORT = "contacts.export_contact"
MAY_SEE_MERGES = "contacts.view_mergelog"

AdminAction = Callable[..., Any]


@admin.register(Contact)
class ContactAdmin(PageAdmin):
    """One identified person."""

    list_display = ["name_or_id", "address", "external_id", "country", "created_at", "test"]
    list_display_links = ["name_or_id", "address"]
    list_filter = ["is_test"]
    sortable_by = ["address", "external_id"]
    search_fields = ["email"]
    search_help_text = "Name, e-mail address or user ID"
    ordering = ["-id"]
    change_form_template = "admin/contacts/contact_page.html"
    change_list_template = "admin/contacts/contact_list.html"
    empty_text = (
        "People appear here as soon as a source tells who they are: with the first identify call, "
        "or at the checkout."
    )
    fieldsets = [
        ("Who", {"fields": ["first_name", "last_name", "email", "external_id", "phone"]}),
        ("Where", {"fields": ["country", "locale", "time_zone"]}),
    ]
    more_fieldset = ("What else is known", {"fields": ["attributes", "is_test"]})

    @admin.display(description="name")
    def name_or_id(self, contact: Contact) -> str:
        return str(contact)

    @admin.display(description="e-mail", ordering="email")
    def address(self, contact: Contact) -> str:
        return contact.email or "–"

    @admin.display(description="")
    def test(self, contact: Contact) -> str:
        return "test contact" if contact.is_test else ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        """Who was erased is nobody, and who was merged is somebody else: neither has a page."""
        return super().get_queryset(request).filter(erased_at=None, merged_into=None)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """An old link to somebody who was merged leads to who they are now."""
        survivor = selectors.find_survivor(unquote(object_id))
        if survivor is not None:
            return HttpResponseRedirect(object_url(survivor))
        return super().change_view(request, object_id, form_url, extra_context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the beginning of a name or address, or by any ID that events use."""
        term = search_term.strip()
        if not term:
            return queryset, False
        names = {term, term.lower(), as_stored(term)}
        named = Identity.objects.filter(kind__in=Identity.Kind, value__in=names)
        found = (
            Q(pk__in=named.values("contact_id"))
            | Q(email__startswith=term.lower())
            | Q(external_id=term)
        )
        for word in term.split():
            found |= Q(first_name__istartswith=word) | Q(last_name__istartswith=word)
        return queryset.filter(found), False

    # --- the form -------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The declared fields have a part of their own; whoever may only look sees the page."""
        may_edit = self.has_change_permission(request, obj) if obj else True
        own = [f"{PREFIX}{key}" for key in fields.declared()] if may_edit else []
        declared = [("Your fields", {"fields": own})] if own else []
        return [*self.fieldsets, *declared, self.more_fieldset]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = form_with(fields.declared())
        return super().get_form(request, obj, change, **{"form": form, **kwargs})

    # --- the page -------------------------------------------------------------------------------

    def read_page(self, request: HttpRequest, row: Contact) -> dict[str, Any]:
        contact, now = row, timezone.now()
        declared = fields.declared()
        known = contact.attributes
        return {
            "contact": contact,
            "own_fields": [
                (field.label, fields.tell(field, known[key]))
                for key, field in declared.items()
                if known.get(key) not in (None, "", [])
            ],
            "other_attributes": {key: known[key] for key in known if key not in declared},
            "merges": selectors.merges_of(contact) if has_perm(request, MAY_SEE_MERGES) else [],
            "identities": contact.identities.order_by("kind", "-linked_at")[:MAX_IDENTITIES],
            "panels": [
                (panel.template, panel.read(contact, now))
                for panel in registry.panels()
                if has_perm(request, panel.permission)
            ],
            "actions_of_contact": [
                action for action in _allowed(request) if action.applies(contact)
            ],
            "links_of_contact": [
                (link, link.url(contact))
                for link in registry.links()
                if has_perm(request, link.permission)
            ],
            "timeline": _read_timeline(request, contact),
            "timeline_sources": [
                source
                for source in registry.timeline_sources()
                if has_perm(request, source.permission)
            ],
            "timeline_only": request.GET.get("only", ""),
        }

    def save_model(self, request: HttpRequest, obj: Contact, form: Any, change: bool) -> None:
        services.save_contact(contact=obj, now=timezone.now())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Consents are proof; whoever is to be forgotten is erased as a whole."""
        return False

    # --- actions, on the page and on the list ---------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("export/", wrap(self.export_view), name="contacts_contact_export"),
            path(
                "<path:object_id>/do/<slug:name>/", wrap(self.act_view), name="contacts_contact_act"
            ),
        ]
        return [*own, *super().get_urls()]

    def act_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """One of the registered actions, on one contact."""
        action = registry.actions().get(name)
        if action is None:
            raise Http404
        if not has_perm(request, action.permission):
            raise PermissionDenied
        contact = self.view_object(request, object_id)
        return self.carry_out(
            request,
            contact,
            question=_question(action, str(contact)),
            act=lambda: action.run([contact], timezone.now(), request.user.get_username()),
        )

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Whoever the list shows, as a file; its query is this page's."""
        if not has_perm(request, MAY_EXPORT) or self.is_hidden_from(request):
            raise PermissionDenied
        try:
            people = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(model_url(Contact))
        if request.method == "POST":
            try:
                return self._export(request, people)
            except CantExport as problem:
                self.message_user(request, str(problem), messages.ERROR)
        context = {
            "title": "Export contacts",
            "groups": resources.groups(is_export=True),
            "chosen": request.POST.getlist("columns") or list(resources.COLUMNS),
            "formats": ["csv", "xlsx"],
            "count": people.count(),
            "is_filtered": bool(request.GET),
            "back": f"{model_url(Contact)}?{request.GET.urlencode()}",
        }
        return self.render(request, "admin/contacts/export.html", context)

    def _export(self, request: HttpRequest, people: QuerySet[Contact]) -> HttpResponseBase:
        keys = request.POST.getlist("columns")
        file_format = request.POST.get("format", "")
        pieces = export.write(people=people, keys=keys, file_format=file_format)
        ids = list(people.order_by("pk").values_list("pk", flat=True)[: MAX_NUMBERED + 1])
        is_short = len(ids) <= MAX_NUMBERED
        personal_data_accessed.send(
            sender=Contact,
            user=request.user,
            kind="export",
            what=f"contacts: {', '.join(keys)}",
            contact_ids=ids if is_short else [],
            count=len(ids) if is_short else people.count(),
            path=request.path_info,
            now=timezone.now(),
        )
        response = StreamingHttpResponse(pieces, content_type=export.FORMATS[file_format][0])
        response["Content-Disposition"] = f'attachment; filename="contacts.{file_format}"'
        return response

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        for action in _allowed(request):
            actions[action.name] = (_on_list(action), action.name, f"{action.label}…")
        return actions


def _allowed(request: HttpRequest) -> list[Action]:
    return [
        action for action in registry.actions().values() if has_perm(request, action.permission)
    ]


def _question(action: Action, whom: str) -> Question:
    return Question(f"{action.label}: {whom}?", action.question, action.label, action.is_danger)


def _on_list(action: Action) -> AdminAction:
    def act(
        model_admin: ContactAdmin, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        return model_admin.carry_out_selected(
            request,
            queryset,
            question=_question(action, "the selected contacts"),
            act=lambda: action.run(list(queryset), timezone.now(), request.user.get_username()),
        )

    return act


def _read_timeline(request: HttpRequest, contact: Contact) -> Timeline:
    try:
        before = Position.read(request.GET["before"]) if "before" in request.GET else None
    except BadPosition as problem:
        raise Http404 from problem
    return selectors.get_timeline(
        contact,
        before=before,
        only=request.GET.get("only", ""),
        may=lambda permission: has_perm(request, permission),
    )
