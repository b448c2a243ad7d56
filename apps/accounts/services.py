"""The audit log, and the groups that the roles become."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.contrib.auth.models import Group, Permission
from django.db.models import Value
from django.db.models.functions import Concat

from apps.accounts.models import AccessRecord, User
from apps.core.roles import Role, granted

# So many contacts are numbered one by one; of more it is noted how many they were.
MAX_NUMBERED = 1000


def record_access(
    *,
    user: User | None,
    kind: str,
    what: str,
    contact_ids: Sequence[int] = (),
    count: int | None = None,
    path: str = "",
    now: datetime,
) -> AccessRecord:
    """Note that somebody had to do with personal data; none of it is stored."""
    is_listed = len(contact_ids) <= MAX_NUMBERED
    return AccessRecord.objects.create(
        user=user,
        kind=kind,
        what=what[:200],
        contact_ids=list(contact_ids) if is_listed else [],
        people_count=len(contact_ids) if count is None else count,
        path=path[:300],
        accessed_at=now,
    )


def install_roles() -> None:
    """Make the roles where they are missing, and give them what the apps let them do.

    What staff has added to a role stays. Who wants a narrower role makes one of their own.
    """
    names = [role.value for role in Role]
    groups = {group.name: group for group in Group.objects.filter(name__in=names)}
    for name in names:
        groups.setdefault(name, Group(name=name))
    Group.objects.bulk_create([group for group in groups.values() if group.pk is None])
    known = dict(_permissions())
    wanted = {
        (groups[role].pk, pk)
        for role in Role
        for name in _names(role, known)
        if (pk := known.get(name))
    }
    through = Group.permissions.through
    held = set(
        through.objects.filter(group__in=[group.pk for group in groups.values()]).values_list(
            "group_id", "permission_id"
        )
    )
    through.objects.bulk_create(
        [
            through(group_id=group, permission_id=permission)
            for group, permission in sorted(wanted - held)
        ],
        ignore_conflicts=True,
    )


def _permissions() -> Iterable[tuple[str, int]]:
    name = Concat("content_type__app_label", Value("."), "codename")
    return Permission.objects.annotate(full_name=name).values_list("full_name", "pk")


def _names(role: Role, known: Iterable[str]) -> Iterable[str]:
    return known if role is Role.ADMINISTRATOR else granted(role)
