"""What happens to workflows when a lower floor reports something."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from apps.consent.models import Purpose
from apps.consent.signals import consent_withdrawn, restricted
from apps.workflows import services


@receiver(consent_withdrawn, dispatch_uid="workflows.exit_on_withdrawal")
def exit_on_withdrawal(*, contact_ids: list[int], purpose: str, now: datetime, **_: Any) -> None:
    """Nobody is kept inside who wants no marketing, or wants not to be watched."""
    if purpose in (Purpose.EMAIL_MARKETING, Purpose.TRACKING):
        services.exit_contacts(
            contact_ids=contact_ids,
            reason="consent_withdrawn",
            values={"purpose": purpose},
            now=now,
        )


@receiver(restricted, dispatch_uid="workflows.exit_on_restriction")
def exit_on_restriction(*, contact_ids: list[int], now: datetime, **_: Any) -> None:
    """Nobody is kept inside whose data may not be used."""
    services.exit_contacts(contact_ids=contact_ids, reason="restricted", values={}, now=now)
