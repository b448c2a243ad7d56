"""What the floors below announce, as events that workflows can start with."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from apps.consent.models import PendingSignup
from apps.consent.signals import signed_up
from apps.contacts.models import Contact
from apps.events import services

SIGNED_UP = "Signed Up"


@receiver(signed_up, dispatch_uid="events.tell_signup")
def tell_signup(
    *, signup: PendingSignup, contact: Contact, topics: list[str], now: datetime, **_: Any
) -> None:
    """Somebody came in by a form: the beginning of a welcome."""
    services.record_internal(
        name=SIGNED_UP,
        contact_id=contact.pk,
        message_id=f"signup-{signup.uuid.hex}",
        properties={"form": signup.form.key, "form_name": signup.form.name, "topics": topics},
        now=now,
    )
