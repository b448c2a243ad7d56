"""What every page of the admin is made of: fast lists, read-only pages, questions before acting."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ORDER_VAR
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from unfold.decorators import action as unfold_action
from unfold.enums import ActionVariant

from apps.core.models import Personal
from apps.core.pages import object_url
from apps.core.selectors import count_up_to
from apps.core.viewing import SEE_PEOPLE
from apps.core.wording import up_to

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
    from django.contrib.admin.views.main import ChangeList
else:
    from unfold.admin import ModelAdmin, TabularInline
    from unfold.views import ChangeList

# How far lists count and page. Who looks for something older than that many rows filters.
MAX_COUNTED = 10_000

View = TypeVar("View", bound=Callable[..., Any])


class CappedPaginator(Paginator):
    """Counts no further than it has to, so that a list costs the same at any number of rows."""

    template_name = "admin/pagination_capped.html"

    @cached_property
    def count(self) -> int:
        return count_up_to(cast("QuerySet[Any]", self.object_list), MAX_COUNTED)

    @property
    def is_capped(self) -> bool:
        return self.count > MAX_COUNTED

    @property
    def num_pages(self) -> int:
        return -(-min(self.count, MAX_COUNTED) // self.per_page) or 1

    @property
    def count_in_words(self) -> str:
        return up_to(self.count, MAX_COUNTED)


class StaffChangeList(ChangeList):
    """Tells the number of results where they are a selection only."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        is_selection = bool(self.query or self.has_active_filters)
        self.full_result_count = None if is_selection else self.result_count

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """A search, or an order, by what is hidden would tell it bit by bit."""
        if cast("StaffAdmin", self.model_admin).is_hidden_from(request):
            self.query = ""
            self.params.pop(ORDER_VAR, None)
        return super().get_queryset(request, *args, **kwargs)


@dataclass(frozen=True)
class Question:
    """What staff is asked before something happens that is not undone by a click."""

    title: str
    text: str
    button: str
    is_danger: bool = False


def page_action(
    *, description: str, permission: str, icon: str, variant: str = "default"
) -> Callable[[View], View]:
    """A button at the top of an object's page, shown to staff who have the permission."""
    decorated = unfold_action(
        description=description,
        permissions=[permission],
        icon=icon,
        variant=ActionVariant(variant),
    )
    return cast("Callable[[View], View]", decorated)


class StaffAdmin(ModelAdmin):
    """A list and a page that stay fast at any number of rows."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    # Each would count the whole table once more.
    show_facets = admin.ShowFacets.NEVER
    compressed_fields = True
    # The lists have a button with words instead.
    show_add_link = False
    warn_unsaved_form = True

    # The names of the buttons at the top of the page.
    actions_detail: Sequence[str] = ()
    # What the list is called, where that isn't the plural of the model's name.
    heading = ""
    # What the list says, and what to do, where it has no rows at all.
    empty_text = ""
    # What staff presses then, as text and the name of an address; else the button to add a row.
    empty_link: tuple[str, str] | tuple[()] = ()

    @cached_property
    def is_about_people(self) -> bool:
        """Whether its rows tell something of a person, or lead to one."""
        related = [field.related_model for field in self.opts.get_fields() if field.many_to_one]
        return any(
            isinstance(one, type) and issubclass(one, Personal) for one in [self.model, *related]
        )

    def is_hidden_from(self, request: HttpRequest) -> bool:
        """Whether they are masked for this member of staff."""
        return self.is_about_people and not has_perm(request, SEE_PEOPLE)

    def get_search_fields(self, request: HttpRequest) -> Any:
        return () if self.is_hidden_from(request) else super().get_search_fields(request)

    def get_sortable_by(self, request: HttpRequest) -> Any:
        return () if self.is_hidden_from(request) else super().get_sortable_by(request)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Nobody filters by what they may not see."""
        is_told = _asks_for_personal(self.model, lookup) and not has_perm(request, SEE_PEOPLE)
        return not is_told and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not self.is_hidden_from(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not self.is_hidden_from(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not self.is_hidden_from(request)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self._log(request, obj, ADDITION, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self._log(request, obj, CHANGE, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        return [self._log(request, row, DELETION, "") for row in queryset]

    def _log(self, request: HttpRequest, row: Model, flag: int, message: Any) -> LogEntry:
        """Django's own log of changes; it outlives a person, so it names none."""
        name = f"{self.opts.verbose_name} {row.pk}" if self.is_about_people else str(row)
        return LogEntry.objects.create(
            user_id=cast("int", request.user.pk),
            content_type=ContentType.objects.get_for_model(row, for_concrete_model=False),
            object_id=row.pk,
            object_repr=name[:200],
            action_flag=flag,
            change_message=json.dumps(message) if isinstance(message, list) else message,
        )

    @property
    def request(self) -> HttpRequest:
        """Never kept, though the base class would: one instance serves every request."""
        raise AttributeError("A ModelAdmin knows no request.")

    @request.setter
    def request(self, request: HttpRequest) -> None:
        pass

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return StaffChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        heading = self.heading or str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(
            request,
            {
                "heading": heading,
                "title": heading,
                **(extra_context or {}),
            },
        )

    def offered_actions(self, row: Any) -> Collection[str]:
        """The buttons of the page that make sense for the row as it is."""
        return self.actions_detail

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Those of them that this member of staff may press."""
        allowed = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        row = self.get_object(request, str(object_id)) if allowed else None
        offered = self.offered_actions(row) if row is not None else ()
        return [action for action in allowed if action.path in offered]

    def get_object_or_404(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def view_object(self, request: HttpRequest, object_id: str) -> Any:
        """Return a row that this member of staff may see."""
        row = self.get_object_or_404(request, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def render(
        self, request: HttpRequest, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        """A page of our own inside the frame of the admin."""
        request.current_app = self.admin_site.name
        common = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, template, {**common, **context})

    def carry_out(
        self,
        request: HttpRequest,
        row: Model,
        *,
        question: Question,
        act: Callable[[], str],
        problems: tuple[type[Exception], ...] = (),
    ) -> HttpResponse:
        """Ask first; once confirmed, act, tell what was done or why not, and show the row again."""
        back = object_url(row)
        if request.method != "POST":
            context = {"question": question, "title": question.title, "object": row, "back": back}
            return self.render(request, "admin/confirm.html", context)
        try:
            self.message_user(request, act(), messages.SUCCESS)
        except problems as problem:
            self.message_user(request, str(problem), messages.ERROR)
        return HttpResponseRedirect(back)

    def carry_out_selected(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        *,
        question: Question,
        act: Callable[[], str],
    ) -> HttpResponse | None:
        """The same for the rows that were selected in a list."""
        if "is_confirmed" in request.POST:
            self.message_user(request, act(), messages.SUCCESS)
            return None
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        hidden = [(ACTION_CHECKBOX_NAME, pk) for pk in chosen]
        hidden += [(name, request.POST.get(name, "")) for name in ("action", "select_across")]
        context = {
            "question": question,
            "title": question.title,
            "hidden": [*hidden, ("is_confirmed", "1")],
            "back": request.get_full_path(),
        }
        return self.render(request, "admin/confirm.html", context)


class PageAdmin(StaffAdmin):
    """Shows a page to read; the form to change it comes with ?edit."""

    add_form_template = "admin/change_form.html"

    def read_page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the page shows of the row, which staff may see."""
        return {}

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"is_editing": request.method == "POST" or "edit" in request.GET}
        if not context["is_editing"]:
            context |= self.read_page(request, self.view_object(request, object_id))
        context |= {"show_save_and_add_another": False, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        return HttpResponseRedirect(object_url(obj))

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Back to the page, where the change can be seen."""
        return HttpResponseRedirect(object_url(obj))


class ReadOnlyAdmin(PageAdmin):
    """For what the product writes itself: staff looks and, where there is an action, acts."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the actions of this page are offered: to staff who might change such rows."""
        name = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return has_perm(request, name) and not self.is_hidden_from(request)


class ReadOnlyInline(TabularInline):
    """Rows that belong to a page, to look at."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ChoiceFilter(admin.SimpleListFilter):
    """A filter over names that are known without asking the table."""

    choices_in_words: Sequence[tuple[str, str]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return self.choices_in_words


def _asks_for_personal(model: Any, lookup: str) -> bool:
    """Whether a filter's path ends at, or leads through, a field that is masked."""
    for name in lookup.split("__"):
        if name in getattr(model, "personal_fields", ()):
            return True
        try:
            model = model._meta.get_field(name).related_model or model
        except FieldDoesNotExist:
            return False
    return False


def has_perm(request: HttpRequest, permission: str) -> bool:
    return bool(request.user.has_perm(permission))
