"""What an event says about a cart or an order, in the words of Segment's e-commerce events."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from apps.commerce import reading
from apps.commerce.reading import Line
from apps.events.registry import ProcessedEvent

# A contact's id, or the anonymous ID of a browser that nobody has identified in.
Owner = int | str


class Kind(Enum):
    """What happened."""

    ADDED = "Product Added"
    REMOVED = "Product Removed"
    LISTED = "Cart Viewed"
    CHECKOUT = "Checkout Started"
    ORDERED = "Order Completed"
    UPDATED = "Order Updated"
    CANCELED = "Order Cancelled"
    REFUNDED = "Order Refunded"


KINDS = {kind.value: kind for kind in Kind}
ABOUT_CARTS = frozenset({Kind.ADDED, Kind.REMOVED, Kind.LISTED, Kind.CHECKOUT})
# Told twice they would count twice.
STEPS = frozenset({Kind.ADDED, Kind.REMOVED})
TOLD = frozenset({"track", "duplicate"})


class Told(msgspec.Struct):
    """An order's own details."""

    key: str
    total: Decimal
    items: list[dict[str, Any]]


class Fact(msgspec.Struct):
    """One event that commerce follows. `lines` is None where the event lists nothing."""

    event: ProcessedEvent
    kind: Kind
    at: datetime
    cart_key: str | None
    lines: list[Line] | None = None
    currency: str = ""
    url: str = ""
    order: Told | None = None

    @property
    def owner(self) -> Owner | None:
        """Whose cart it is about; nobody's where the event doesn't say who acted."""
        return self.event.contact_id or self.event.anonymous_id or None

    @property
    def is_about_cart(self) -> bool:
        return self.kind in ABOUT_CARTS

    @property
    def is_step(self) -> bool:
        return self.kind in STEPS


def read(event: ProcessedEvent) -> Fact | None:
    """Read an event; None where it isn't one of ours. Nothing that a shop sends makes it fail."""
    kind = KINDS.get(event.name)
    if kind is None or event.type not in TOLD:
        return None
    told = event.properties
    fact = Fact(
        event=event,
        kind=kind,
        at=event.occurred_at,
        cart_key=reading.read_id(told.get("cart_id"), length=reading.CART_KEY_LENGTH),
        currency=reading.read_currency(told.get("currency")),
        url=reading.read_url(told.get("cart_url"), length=reading.CART_URL_LENGTH),
    )
    if kind in (Kind.ADDED, Kind.REMOVED):
        line = reading.read_line(told)
        fact.lines = [line] if line else []
    elif kind in ABOUT_CARTS:
        fact.lines = reading.read_lines(told.get("products"))
    else:
        fact.order = _read_order(told)
    return fact


def _read_order(told: dict[str, Any]) -> Told | None:
    key = reading.read_id(told.get("order_id"), length=reading.ORDER_KEY_LENGTH)
    if key is None:
        return None
    items = told.get("products")
    lines = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return Told(key=key, total=_read_total(told, lines), items=lines)


def _read_total(told: dict[str, Any], items: list[dict[str, Any]]) -> Decimal:
    """The order's total; where the shop tells none, what its lines come to."""
    for name in ("total", "revenue", "value"):
        amount = reading.read_money(told.get(name), below=reading.MAX_TOTAL)
        if amount is not None:
            return amount
    lines = [line for item in items if (line := reading.read_line(item))]
    amounts = [line.price * line.quantity for line in lines if line.price is not None]
    return min(sum(amounts, Decimal(0)), reading.MAX_TOTAL - reading.CENT)
