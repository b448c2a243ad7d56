"""What the other floors announce, for the audit log."""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import AnonymousUser
from django.dispatch import receiver

from apps.accounts import services
from apps.accounts.models import User
from apps.core.signals import personal_data_accessed


@receiver(personal_data_accessed, dispatch_uid="accounts.record_access")
def record_access(
    *, user: User | AnonymousUser | None, signal: Any, sender: Any, **access: Any
) -> None:
    services.record_access(user=user if isinstance(user, User) else None, **access)


def install_roles(*, sender: AppConfig, **_: Any) -> None:
    """Connected to the last app's migrations: the permissions of all others are there by then."""
    create_permissions(sender, verbosity=0)
    services.install_roles()
