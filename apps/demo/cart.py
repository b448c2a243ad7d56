"""The shopper's cart, kept in the session: the shop needs it with or without tracking."""

import uuid
from collections.abc import MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.demo import catalog

SESSION_KEY = "demo_cart"
MAX_QUANTITY = 9


@dataclass(frozen=True)
class Line:
    """So many of one product."""

    product: catalog.Product
    quantity: int

    @property
    def total(self) -> Decimal:
        return self.product.price * self.quantity

    @property
    def total_text(self) -> str:
        return catalog.format_money(self.total)


@dataclass(frozen=True)
class Cart:
    """What lies in the cart right now."""

    id: str
    lines: tuple[Line, ...]

    @property
    def count(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def total(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal(0))

    @property
    def total_text(self) -> str:
        return catalog.format_money(self.total)

    def quantity_of(self, product: catalog.Product) -> int:
        return sum(line.quantity for line in self.lines if line.product == product)

    def quantities(self) -> dict[str, int]:
        return {line.product.key: line.quantity for line in self.lines}


def load_cart(session: MutableMapping[str, Any]) -> Cart:
    """Read the cart; a visitor who has put nothing aside gets no ID and no session."""
    kept = session.get(SESSION_KEY) or {"id": "", "quantities": {}}
    lines = [
        Line(product, quantity)
        for key, quantity in kept["quantities"].items()
        if (product := catalog.find_product(key))
    ]
    return Cart(id=kept["id"], lines=tuple(lines))


def set_quantity(
    session: MutableMapping[str, Any], product: catalog.Product, quantity: int
) -> Cart:
    """Put that many of a product into the cart, none to take it out."""
    cart = load_cart(session)
    quantities = cart.quantities() | {product.key: min(quantity, MAX_QUANTITY)}
    return store_cart(session, cart.id or str(uuid.uuid4()), quantities)


def store_cart(session: MutableMapping[str, Any], cart_id: str, quantities: dict[str, int]) -> Cart:
    kept = {key: quantity for key, quantity in quantities.items() if quantity > 0}
    session[SESSION_KEY] = {"id": cart_id, "quantities": kept}
    return load_cart(session)


def clear_cart(session: MutableMapping[str, Any]) -> None:
    session.pop(SESSION_KEY, None)
