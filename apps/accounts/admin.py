"""Who works here, what they may do, and what they did with people's data."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.accounts.models import AccessRecord, User
from apps.core.backoffice import ReadOnlyAdmin, StaffAdmin

if TYPE_CHECKING:
    from django.contrib.auth.forms import AdminPasswordChangeForm as PasswordForm
else:
    PasswordForm = AdminPasswordChangeForm

MAX_SHOWN = 100

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, StaffAdmin):
    """One member of staff."""

    heading = "Staff"
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = PasswordForm
    list_display = ["username", "email", "first_name", "last_name", "is_active", "is_superuser"]
    list_filter = ["is_active", "is_superuser", "groups"]
    ordering = ["username"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Nobody makes a superuser who isn't one."""
        return [] if request.user.is_superuser else ["is_superuser", "user_permissions"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever could set a superuser's password would be one."""
        is_above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not is_above and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not is_above and super().has_delete_permission(request, obj)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, StaffAdmin):
    """A role: what its members may see and do."""

    heading = "Roles"


@admin.register(AccessRecord)
class AccessRecordAdmin(ReadOnlyAdmin):
    """One time that somebody of staff had to do with people's data."""

    heading = "Access log"
    list_display = ["accessed_at", "user", "kind", "what", "people_count", "path"]
    list_select_related = ["user"]
    list_filter = ["kind", "user", "accessed_at"]
    sortable_by = ()
    ordering = ["-accessed_at", "-id"]
    search_fields = ["contact_ids"]
    search_help_text = "Number of a contact, as its page has it in the address"
    empty_text = (
        "Each time somebody of staff opens, finds, exports, changes or erases a person's data, it "
        "is noted here. Nobody can change these notes."
    )
    fieldsets = [
        ("Who did what", {"fields": ["user", "kind", "what"]}),
        ("About whom", {"fields": ["people", "people_count"]}),
        ("Where and when", {"fields": ["path", "accessed_at"]}),
    ]
    readonly_fields = ["people"]

    @admin.display(description="contacts")
    def people(self, record: AccessRecord) -> SafeString | str:
        """Each contact's number, as a way to its page; it may have been erased since."""
        shown = record.contact_ids[:MAX_SHOWN]
        rows = [(reverse("admin:contacts_contact_change", args=[pk]), pk) for pk in shown]
        return format_html_join(", ", '<a href="{}">{}</a>', rows) or "–"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if not term.isdecimal() or len(term) > len(str(2**63)) - 1:
            return queryset.none(), False
        return queryset & AccessRecord.objects.about(int(term)), False
