"""Who works here, and what they may do."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.accounts.models import User
from apps.core.backoffice import StaffAdmin

if TYPE_CHECKING:
    from django.contrib.auth.forms import AdminPasswordChangeForm as PasswordForm
else:
    PasswordForm = AdminPasswordChangeForm

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


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, StaffAdmin):
    """A role: what its members may see and do."""

    heading = "Roles"
