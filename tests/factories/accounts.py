"""Staff with and without permissions."""

from typing import Any

import factory
from django.contrib.auth.models import Permission
from factory.django import DjangoModelFactory

from apps.accounts.models import User


class StaffFactory(DjangoModelFactory):
    """Somebody who may log in to the admin; `permissions` are like "contacts.view_contact"."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda number: f"staff-{number}")
    is_staff = True

    @factory.post_generation
    def permissions(user: User, create: bool, extracted: Any, **_: Any) -> None:
        if create and extracted:
            user.user_permissions.set(find_permissions(extracted))


def find_permissions(names: Any) -> list[Permission]:
    """The permissions of these names."""
    known = {
        f"{one.content_type.app_label}.{one.codename}": one
        for one in Permission.objects.select_related("content_type")
    }
    return [known[name] for name in names]


def make_viewer() -> User:
    """Somebody who may see everything and change nothing."""
    viewer: User = StaffFactory()
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return viewer
