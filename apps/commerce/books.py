"""The carts and orders that a batch of events is about: what is wanted, read, and becomes of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.commerce.carts import CartState, Item
from apps.commerce.facts import Owner
from apps.commerce.orders import OrderState


@dataclass(slots=True)
class Wanted:
    """What a batch is about. `recent` are those whose latest carts count, named or not."""

    cart_keys: set[str] = field(default_factory=set)
    order_keys: set[str] = field(default_factory=set)
    owners: set[Owner] = field(default_factory=set)
    recent: set[Owner] = field(default_factory=set)
    adopted_browsers: set[str] = field(default_factory=set)

    def names(self) -> list[str]:
        """What may be made anew; a browser's events are in one worker's hands anyway."""
        return [
            *(f"cart {key}" for key in self.cart_keys),
            *(f"order {key}" for key in self.order_keys),
            *(f"contact {owner}" for owner in self.owners if isinstance(owner, int)),
        ]

    def parameters(self) -> dict[str, list[Any]]:
        return {
            "cart_keys": list(self.cart_keys),
            "order_keys": list(self.order_keys),
            "contacts": [owner for owner in self.owners if isinstance(owner, int)],
            "browsers": [owner for owner in self.owners if isinstance(owner, str)],
            "recent_contacts": [owner for owner in self.recent if isinstance(owner, int)],
            "recent_browsers": [owner for owner in self.recent if isinstance(owner, str)],
            "adopted_browsers": list(self.adopted_browsers),
        }


@dataclass(slots=True)
class Books:
    """The carts and orders of a batch, as they were read and as they become.

    `last_ordered` is when each owner has placed the last order that isn't among `orders`.
    """

    carts: list[CartState] = field(default_factory=list)
    orders: dict[str, OrderState] = field(default_factory=dict)
    last_ordered: dict[Owner, datetime] = field(default_factory=dict)
    absorbed: list[CartState] = field(default_factory=list)
    changed_orders: dict[str, OrderState] = field(default_factory=dict)
    _read: dict[int, tuple[dict[str, Any], dict[str, Item]]] = field(default_factory=dict)

    def note_as_read(self) -> None:
        """Remember how everything was, to write only what becomes different."""
        self._read = {cart.id: (cart.row(), dict(cart.items)) for cart in self.carts if cart.id}

    def row_as_read(self, cart: CartState) -> dict[str, Any]:
        return self._read[cart.id or 0][0]

    def items_as_read(self, cart: CartState) -> dict[str, Item]:
        return self._read[cart.id or 0][1] if cart.id in self._read else {}
