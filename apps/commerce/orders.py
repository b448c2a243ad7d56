"""One order over time: told by a browser, by the shop's server, or by both; it is one order."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.commerce.carts import CartState
from apps.commerce.facts import Fact, Kind, Owner, Told
from apps.commerce.models import Order

COMPLETED = Order.Status.COMPLETED.value
CANCELED = Order.Status.CANCELED.value
REFUNDED = Order.Status.REFUNDED.value


@dataclass(slots=True, eq=False)
class OrderState:
    """A row of the order table; `items` are its lines, where they were told just now."""

    key: str
    contact_id: int | None
    anonymous_id: str
    is_trusted: bool
    status: str
    total: Decimal
    currency: str
    ordered_at: datetime
    refunded_at: datetime | None = None
    cart_id: int | None = None
    cart: CartState | None = None
    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def owner(self) -> Owner | None:
        return self.contact_id or self.anonymous_id or None

    @classmethod
    def of(cls, fact: Fact, told: Told) -> "OrderState":
        return cls(
            key=told.key,
            contact_id=fact.event.contact_id,
            anonymous_id=fact.event.anonymous_id,
            is_trusted=fact.event.is_trusted,
            status=COMPLETED,
            total=told.total,
            currency=fact.currency,
            ordered_at=fact.at,
            items=told.items,
        )

    def tell_again(self, fact: Fact, told: Told) -> None:
        """Take the server's word once more: the first time counts, the last details do."""
        self.ordered_at = min(self.ordered_at, fact.at) if self.is_trusted else fact.at
        self.is_trusted = True
        self.contact_id = fact.event.contact_id or self.contact_id
        self.anonymous_id = fact.event.anonymous_id or self.anonymous_id
        self.currency = fact.currency or self.currency
        if told.total or told.items:
            self.total = told.total
            self.items = told.items or self.items

    def end(self, kind: Kind, at: datetime) -> None:
        """Note that it was canceled or refunded; neither is undone by a report that comes late."""
        if kind is Kind.REFUNDED:
            self.status = REFUNDED
            self.refunded_at = self.refunded_at or at
        elif self.status == COMPLETED:
            self.status = CANCELED
