"""The purposes that come with the product."""

from typing import Any

from apps.consent.models import Purpose

_PURPOSES = [
    (Purpose.EMAIL_MARKETING, "E-mail marketing", "Reminders, news and offers by e-mail."),
    (
        Purpose.TRACKING,
        "Tracking",
        "What you look at and buy is recorded to make mails fit you.",
    ),
]


def install(**_: Any) -> None:
    """Add what is missing, after the migrations; a text that staff has changed stays."""
    Purpose.objects.bulk_create(
        [Purpose(key=key, name=name, description=text) for key, name, text in _PURPOSES],
        ignore_conflicts=True,
    )
