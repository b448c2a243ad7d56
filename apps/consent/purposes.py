"""The purposes that come with the product."""

from typing import Any

from apps.consent.models import Purpose

# In the order in which they are shown: key, name, what people are told.
_PURPOSES = [
    (Purpose.EMAIL_MARKETING, "E-mail marketing", "Reminders, news and offers by e-mail."),
    (
        Purpose.TRACKING,
        "Tracking",
        "What you look at and buy is recorded to make mails fit you.",
    ),
    (
        Purpose.PERSONALISATION,
        "Personalization",
        "What is known about you decides which products and offers you are shown.",
    ),
    (
        Purpose.OPEN_TRACKING,
        "Opens and clicks in mails",
        "Whether you open our mails, and what you click in them, is recorded.",
    ),
    (
        Purpose.SALE_OR_SHARING,
        "Sale or sharing of data",
        "Your data may be passed to others, also for advertising on other websites.",
    ),
]


def install(**_: Any) -> None:
    """Add what is missing, after the migrations; a text that staff has changed stays."""
    Purpose.objects.bulk_create(
        [
            Purpose(key=key, name=name, description=text, order=10 * number)
            for number, (key, name, text) in enumerate(_PURPOSES, start=1)
        ],
        ignore_conflicts=True,
    )
