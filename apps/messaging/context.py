"""What a template may show, loaded for a batch of messages at once."""

from collections.abc import Iterable, Mapping
from email.utils import parseaddr
from functools import lru_cache
from typing import Any

from django.conf import settings

from apps.commerce import selectors as commerce
from apps.consent import links as consent
from apps.contacts.models import Contact
from apps.messaging import links
from apps.messaging.models import Message
from apps.messaging.rendering import plain

KNOWN = frozenset(
    {
        "contact", "event", "cart", "order", "links", "sender", "first_name", "last_name", "email",
        "signup", "request",
    }
)  # fmt: skip
Values = dict[str, Any]


def cart_keys(messages: Iterable[Message]) -> list[str]:
    """The carts that these messages are about."""
    return [key for message in messages if (key := message.context.get("cart_key"))]


def load_carts(messages: Iterable[Message]) -> Mapping[str, dict[str, Any]]:
    keys = cart_keys(messages)
    return commerce.get_cart_context(keys) if keys else {}


def build(message: Message, *, carts: Mapping[str, dict[str, Any]]) -> Values:
    """The variables of one message; its contact has to be loaded."""
    contact, context = message.contact, message.context
    event = context.get("event") or {}
    return {
        "contact": _contact(contact),
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "email": contact.email or "",
        "event": event,
        "cart": plain(carts.get(context.get("cart_key", ""), {})),
        "order": context.get("order") or _order_of(event),
        "links": {
            "unsubscribe": links.unsubscribe_url(
                contact_uuid=contact.uuid, public_id=message.public_id
            ),
            "preferences": consent.preferences_url(contact.uuid),
        },
        "sender": sender(),
    }


def sender() -> dict[str, str]:
    """Who writes, as the footer names them."""
    name, email = _sender_address(settings.DEFAULT_FROM_EMAIL)
    return {"name": name or email, "email": email, "postal_address": settings.POSTAL_ADDRESS}


# The same for every mail; taking it apart takes longer than the rest of this.
_sender_address = lru_cache(maxsize=8)(parseaddr)


def _contact(contact: Contact) -> dict[str, Any]:
    """What staff and systems know about somebody; own fields win over attributes of that name."""
    return {
        **contact.attributes,
        "attributes": contact.attributes,
        "email": contact.email or "",
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "name": contact.name,
        "phone": contact.phone,
        "locale": contact.locale,
        "time_zone": contact.time_zone,
        "country": contact.country,
        "external_id": contact.external_id or "",
    }


def _order_of(event: dict[str, Any]) -> dict[str, Any]:
    """An order event tells the order itself."""
    if str(event.get("name", "")).startswith("Order "):
        properties = event.get("properties")
        return properties if isinstance(properties, dict) else {}
    return {}
