"""What the shop's server tells Cuepost, with its secret key, as any shop's backend would."""

import uuid
from datetime import datetime
from typing import Any

from apps.demo import ecommerce
from apps.demo.cart import Cart
from apps.demo.visitor import Customer, Visitor, agree
from apps.events import services as events
from apps.events.models import Source

SOURCE_NAME = "Demo shop"


def find_source() -> Source | None:
    """The demo shop's own keys, once seed_demo has made them."""
    return Source.objects.filter(name=SOURCE_NAME, is_active=True).first()


def begin_checkout(
    *, customer: Customer, cart: Cart, visitor: Visitor, base_url: str, now: datetime
) -> None:
    """Tell who is checking out, as far as they agreed to be known."""
    messages = []
    if visitor.allows_tracking or customer.wants_mail:
        messages.append(_identify(customer, visitor))
    if visitor.allows_tracking:
        messages.append(
            _track(ecommerce.checkout_started(cart, base_url=base_url), customer, visitor)
        )
    _send(messages, now=now)


def place_order(
    *, customer: Customer, cart: Cart, visitor: Visitor, base_url: str, now: datetime
) -> str:
    """Tell of the order, which every reminder must know about; return its number.

    Who refuses tracking is named by the customer number alone. Where it means nobody that Cuepost
    knows, the order stays without a name; where it does, what they were to be reminded of ends.
    """
    order_id = f"KC-{uuid.uuid4().hex[:10].upper()}"
    report = ecommerce.order_completed(order_id, cart, base_url=base_url)
    _send([_track(report, customer, visitor)], now=now)
    return order_id


def _identify(customer: Customer, visitor: Visitor) -> dict[str, Any]:
    names = {"firstName": customer.first_name, "lastName": customer.last_name}
    traits = {"email": customer.email} | {key: value for key, value in names.items() if value}
    message = {
        "type": "identify",
        "messageId": f"demo-{uuid.uuid4()}",
        "traits": traits,
        **_address(customer, visitor),
    }
    if customer.wants_mail:
        # A box left empty takes nothing back from somebody who agreed at an earlier order.
        agree(message["context"]["consent"])
    return message


def _track(report: ecommerce.Report, customer: Customer, visitor: Visitor) -> dict[str, Any]:
    return {
        "type": "track",
        "event": report.event,
        "messageId": report.message_id,
        "properties": report.properties,
        **_address(customer, visitor),
    }


def _address(customer: Customer, visitor: Visitor) -> dict[str, Any]:
    person = {"userId": customer.number}
    if visitor.anonymous_id:
        person["anonymousId"] = visitor.anonymous_id
    preferences = {"tracking": visitor.allows_tracking}
    if visitor.allows_open_tracking:
        preferences["open_tracking"] = True
    return {**person, "context": {"consent": {"categoryPreferences": preferences}}}


def _send(messages: list[dict[str, Any]], *, now: datetime) -> None:
    source = find_source()
    if source and messages:
        events.accept(source=source, is_secret=True, messages=messages, received_at=now)
