"""The roles that come with the product, and what each app lets them do.

Apps register in their `AppConfig.ready()`; the accounts floor makes groups of it.
"""

from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """A group that every installation has."""

    MARKETER = "Marketer"
    ANALYST = "Analyst"
    PRIVACY_OFFICER = "Privacy officer"
    # May do everything, so that nobody has to be a superuser.
    ADMINISTRATOR = "Administrator"


_granted: dict[Role, set[str]] = defaultdict(set)


def register_roles(app: str, table: Mapping[str, Mapping[Role, str]]) -> None:
    """Say for each model of an app which verbs a role has, as in {"cart": {ANALYST: "view"}}.

    A word with an underscore is the whole name of a permission, such as view_personal_data.
    """
    for model, roles in table.items():
        for role, verbs in roles.items():
            _granted[role] |= {
                f"{app}.{verb if '_' in verb else f'{verb}_{model}'}" for verb in verbs.split()
            }


def granted(role: Role) -> set[str]:
    """The permissions of a role, as app.codename."""
    return set(_granted[role])
