"""What the other floors announce, for the audit log."""

from typing import Any

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


def install_roles(**_: Any) -> None:
    """Connected to the last app's migrations: permissions are there by then."""
    services.install_roles()
