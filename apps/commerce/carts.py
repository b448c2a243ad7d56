"""One cart over time: what each event does to it, in memory.

Events arrive in any order, so each rule asks when something happened. A cart is *settled* by a list
of all that is in it, and by its order: what happened before is contained in that already.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from apps.commerce.facts import Owner
from apps.commerce.models import Cart
from apps.commerce.reading import MAX_LINES, MAX_QUANTITY, Line
from apps.events.registry import ProcessedEvent

OPEN, ORDERED, EMPTIED = (
    Cart.Status.OPEN.value,
    Cart.Status.ORDERED.value,
    Cart.Status.EMPTIED.value,
)

COLUMNS = (
    "id", "key", "is_keyed_by_shop", "contact_id", "anonymous_id", "is_trusted", "status",
    "currency", "url", "created_at", "changed_at", "checkout_started_at", "settled_at",
)  # fmt: skip


class Item(msgspec.Struct, frozen=True, gc=False):
    """One line, with the time at which it was last put in or listed."""

    line: Line
    added_at: datetime


@dataclass(slots=True, eq=False)
class CartState:
    """A row of the cart table with its lines. `id` is None until it is saved."""

    key: str
    is_keyed_by_shop: bool
    created_at: datetime
    changed_at: datetime
    is_trusted: bool
    id: int | None = None
    contact_id: int | None = None
    anonymous_id: str = ""
    status: str = EMPTIED
    currency: str = ""
    url: str = ""
    checkout_started_at: datetime | None = None
    settled_at: datetime | None = None
    items: dict[str, Item] = field(default_factory=dict)

    # ---- Whose ----

    @property
    def owner(self) -> Owner | None:
        return self.contact_id or self.anonymous_id or None

    def is_open_to(self, event: ProcessedEvent) -> bool:
        """Whether the event may touch this cart: two contacts never share one.

        Where one of the two isn't known a server is believed; a browser may fill what it has begun,
        as long as that isn't a known contact's.
        """
        if self.contact_id and event.contact_id:
            return self.contact_id == event.contact_id
        if event.is_trusted:
            return True
        is_theirs = bool(event.anonymous_id) and event.anonymous_id == self.anonymous_id
        return is_theirs and not self.contact_id

    def claim(self, event: ProcessedEvent) -> None:
        """Note who uses the cart; it must be open to them."""
        if not self.contact_id and (event.contact_id or event.anonymous_id):
            if self.anonymous_id not in ("", event.anonymous_id):
                self._hand_over()
            self.contact_id = event.contact_id
            self.anonymous_id = self.anonymous_id or event.anonymous_id
        self.is_trusted = self.is_trusted and event.is_trusted

    def _hand_over(self) -> None:
        """Make way for another owner than the browser that began this cart, as a server tells.

        What a browser has put in goes: it would come into the mails of somebody who isn't known to
        have that browser.
        """
        self.anonymous_id = ""
        if not self.is_trusted:
            self.items = {}
            self.url = ""
            self.status = EMPTIED if self.status == OPEN else self.status
            self.is_trusted = True

    # ---- What lies in it ----

    def add(self, line: Line, at: datetime) -> None:
        if self._is_past(at):
            return
        if self.status == ORDERED:
            self.items = {}
            self.checkout_started_at = None
        self._put(line, at)
        self._changed(at)

    def remove(self, line: Line, at: datetime) -> None:
        if self._is_past(at) or self.status == ORDERED:
            return
        item = self.items.get(line.product_key)
        if item is not None:
            left = item.line.quantity - line.quantity
            if left > 0:
                self.items[line.product_key] = replace(item, line=replace(item.line, quantity=left))
            else:
                del self.items[line.product_key]
        self._changed(at)

    def list_all(self, lines: list[Line], at: datetime) -> None:
        """Take a whole list as what is in the cart, unless something newer is known.

        Only a product that is added opens an ordered cart again: a page that still shows what has
        just been bought is no new cart.
        """
        if self.status == ORDERED or at < self.changed_at:
            return
        known = self.items
        self.items = {}
        for line in lines:
            item = known.get(line.product_key)
            self._put(_completed(line, item.line) if item else line, at)
        self.settled_at = at
        self._changed(at)

    def start_checkout(self, at: datetime) -> None:
        if not self._is_past(at) and self.status != ORDERED:
            self.checkout_started_at = _latest(self.checkout_started_at, at)

    def describe(self, *, currency: str, url: str, at: datetime) -> None:
        """Note what an event says about the cart as a whole; what came last counts."""
        if self._is_past(at):
            return
        is_last = at >= self.changed_at
        self.currency = (currency or self.currency) if is_last else (self.currency or currency)
        self.url = (url or self.url) if is_last else (self.url or url)

    # ---- What becomes of it ----

    def settle(self, at: datetime) -> None:
        """An order took what was in it by then; what was added later stays for the next one."""
        self.settled_at = _latest(self.settled_at, at)
        if self.status == ORDERED:
            return
        later = {key: item for key, item in self.items.items() if item.added_at > at}
        if later:
            self.items = later
        else:
            self.status = ORDERED
            self.changed_at = max(self.changed_at, at)

    def absorb(self, other: "CartState") -> None:
        """Take over the content of another cart of the same person.

        What either has had settled holds for both, as if all of it had happened to one cart.
        """
        self.settled_at = _latest(self.settled_at, other.settled_at)
        self.describe(currency=other.currency, url=other.url, at=other.changed_at)
        mine, self.items = self.items, {}
        for item in [*mine.values(), *other.items.values()]:
            if not self._is_past(item.added_at):
                self._put(item.line, item.added_at)
        self.created_at = min(self.created_at, other.created_at)
        self.checkout_started_at = _latest(self.checkout_started_at, other.checkout_started_at)
        self.anonymous_id = self.anonymous_id or other.anonymous_id
        self._changed(other.changed_at)

    # ---- In the table ----

    def row(self) -> dict[str, Any]:
        return {column: getattr(self, column) for column in COLUMNS}

    # ---- Parts of the rules ----

    def _is_past(self, at: datetime) -> bool:
        return self.settled_at is not None and at < self.settled_at

    def _changed(self, at: datetime) -> None:
        self.created_at = min(self.created_at, at)
        self.changed_at = max(self.changed_at, at)
        self.status = OPEN if self.items else EMPTIED

    def _put(self, line: Line, at: datetime) -> None:
        """Add to the line of that product, which looks as it was told last."""
        item = self.items.get(line.product_key)
        if item is None:
            if len(self.items) < MAX_LINES:
                self.items[line.product_key] = Item(line, at)
            return
        newer, older = (line, item.line) if at >= item.added_at else (item.line, line)
        quantity = min(line.quantity + item.line.quantity, MAX_QUANTITY)
        looks = replace(_completed(newer, older), quantity=quantity)
        self.items[line.product_key] = Item(looks, max(at, item.added_at))


def _completed(line: Line, before: Line) -> Line:
    """Fill in what the shop said about the product before."""
    return replace(
        line,
        name=line.name or before.name,
        price=before.price if line.price is None else line.price,
        url=line.url or before.url,
        image_url=line.image_url or before.image_url,
    )


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at), default=None)
