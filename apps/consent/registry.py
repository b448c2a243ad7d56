"""What the floors above, and other parts of this one, hang onto the preference page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.contacts.models import Contact


@dataclass(frozen=True)
class PreferenceSection:
    """A part of the preference page, below what we offer ourselves.

    `template` is included with `section`, what `read` answers, and `token`, the signed part of the
    page's own address. Its forms post to addresses of their own, which check that token again
    (`links.read_uuid(links.PREFERENCES, token)`) and lead back with `links.preferences_url()`.
    Where `read` answers None, the section is left out.
    """

    name: str
    order: int
    template: str
    read: "Callable[[Contact, datetime], dict[str, Any] | None]"


_sections: dict[str, PreferenceSection] = {}


def register_preference_section(section: PreferenceSection) -> None:
    _sections[section.name] = section


def preference_sections() -> list[PreferenceSection]:
    return sorted(_sections.values(), key=lambda section: section.order)
