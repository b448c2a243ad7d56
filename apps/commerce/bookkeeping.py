"""The carts and orders of one batch at work: changes happen in memory, event by event.

A server's events are believed. A browser's public key is in everybody's hands, so a browser may
fill only its own carts, and may tell of a new order but never change one. A cart that somebody else
uses stays theirs: whoever names it without being its owner is given a cart of their own.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from apps.commerce.books import Books
from apps.commerce.carts import OPEN, ORDERED, CartState
from apps.commerce.facts import Fact, Kind, Owner, Told
from apps.commerce.models import new_cart_key
from apps.commerce.orders import OrderState
from apps.events.registry import ProcessedEvent


class Bookkeeper:
    """Works events into the books that were loaded for them."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.by_key = {cart.key: cart for cart in books.carts}
        self.owned: dict[Owner, list[CartState]] = defaultdict(list)
        for cart in books.carts:
            if cart.owner is not None:
                self.owned[cart.owner].append(cart)
        self.placed: dict[Owner | None, set[OrderState]] = defaultdict(set)
        for order in books.orders.values():
            self.placed[order.owner].add(order)
        # By browser: when a cart without a shop's key began, and which cart it has become.
        self.adopted: dict[str, list[tuple[datetime, CartState]]] = defaultdict(list)

    def apply(self, fact: Fact) -> None:
        if fact.is_about_cart:
            self._change_cart(fact)
        elif fact.kind in (Kind.ORDERED, Kind.UPDATED):
            self._take_order(fact)
        elif fact.order and fact.event.is_trusted:
            self._end_order(fact, fact.order)

    # ---- Visitors who identify ----

    def adopt(self, adoptions: dict[str, int], *, since: datetime) -> None:
        """Hand over what unknown visitors have left, as if it had been theirs from the start.

        What nobody has touched since then stays nobody's, as their events do.
        """
        for browser, contact_id in sorted(adoptions.items()):
            self._join_orders(browser, contact_id, since)
            recent = [cart for cart in self.owned.pop(browser, []) if cart.changed_at >= since]
            for cart in sorted(recent, key=lambda cart: cart.created_at):
                self._adopt_cart(cart, browser, contact_id)

    def name_carts(self, adopted: Iterable[Fact]) -> None:
        """Tell events that were worked in before which cart they are about, now that it counts."""
        for fact in adopted:
            if fact.is_about_cart and (cart := self._find_adopted(fact)):
                fact.event.keys["cart"] = cart.key

    def _join_orders(self, browser: str, contact_id: int, since: datetime) -> None:
        """What one of the two has ordered, both have."""
        ordered_at = self._last_ordered(browser)
        if ordered_at is None or ordered_at < since:
            return
        if cart := self._find_unkeyed(contact_id):
            cart.settle(ordered_at)
        placed = self.placed.pop(browser, set())
        for order in (order for order in placed if order.ordered_at >= since):
            order.contact_id = contact_id
            self.placed[contact_id].add(order)
            self.books.changed_orders[order.key] = order
        before = self.books.last_ordered.get(contact_id, ordered_at)
        self.books.last_ordered[contact_id] = max(before, ordered_at)

    def _adopt_cart(self, cart: CartState, browser: str, contact_id: int) -> None:
        began_at = cart.created_at
        target = None
        if not cart.is_keyed_by_shop and cart.status != ORDERED:
            if ordered_at := self._last_ordered(contact_id):
                cart.settle(ordered_at)
            if cart.status != ORDERED:
                target = self._find_unkeyed(contact_id)
        if target:
            target.absorb(cart)
            self.books.carts.remove(cart)
            self.books.absorbed.append(cart)
        else:
            cart.contact_id = contact_id
            self.owned[contact_id].append(cart)
        if not cart.is_keyed_by_shop:
            self.adopted[browser].append((began_at, target or cart))

    def _find_adopted(self, fact: Fact) -> CartState | None:
        named = self.by_key.get(fact.cart_key or "")
        if named and named.is_keyed_by_shop and named.contact_id == fact.event.contact_id:
            return named
        carts = self.adopted[fact.event.anonymous_id]
        begun = [cart for began_at, cart in carts if began_at <= fact.at]
        return begun[-1] if begun else next((cart for _, cart in carts), None)

    # ---- Carts ----

    def _change_cart(self, fact: Fact) -> None:
        cart = self._cart_of(fact)
        if cart is None:
            return
        self._claim(cart, fact.event)
        if fact.kind in (Kind.ADDED, Kind.REMOVED):
            for line in fact.lines or []:
                change = cart.add if fact.kind is Kind.ADDED else cart.remove
                change(line, fact.at)
        elif fact.lines is not None:
            cart.list_all(fact.lines, fact.at)
        if fact.kind is Kind.CHECKOUT:
            cart.start_checkout(fact.at)
        cart.describe(currency=fact.currency, url=fact.url, at=fact.at)
        fact.event.keys["cart"] = cart.key

    def _cart_of(self, fact: Fact) -> CartState | None:
        """The cart that an event is about, made if it is new; None where it is nobody's."""
        named = self._named_cart(fact)
        if named and named.is_open_to(fact.event):
            return named
        if fact.owner is None:
            return None
        if fact.kind is Kind.CHECKOUT and fact.cart_key is None:
            # The specification names no cart here, also in shops that name it elsewhere.
            is_open = [cart for cart in self.owned[fact.owner] if cart.status == OPEN]
            if is_open:
                return max(is_open, key=lambda cart: (cart.changed_at, cart.key))
        return self._unkeyed_cart(fact, fact.owner)

    def _named_cart(self, fact: Fact) -> CartState | None:
        """The cart of that key; a key that was made here is none of the shop's."""
        if fact.cart_key is None:
            return None
        if fact.cart_key not in self.by_key and (fact.owner or fact.event.is_trusted):
            self.by_key[fact.cart_key] = self._begin(fact, fact.cart_key)
        cart = self.by_key.get(fact.cart_key)
        return cart if cart and cart.is_keyed_by_shop else None

    def _unkeyed_cart(self, fact: Fact, owner: Owner) -> CartState | None:
        """The owner's cart without a shop's key; one that is ordered if the event is older."""
        if cart := self._find_unkeyed(owner):
            return cart
        is_named = fact.cart_key is not None
        past = [c for c in self.owned[owner] if not (is_named or c.is_keyed_by_shop)]
        times = [self._last_ordered(owner), *(cart.settled_at for cart in past)]
        ordered_at = max((at for at in times if at), default=None)
        is_past = ordered_at is not None and fact.at < ordered_at
        if is_past and is_named:
            return None
        if is_past and past:
            return max(past, key=lambda cart: (cart.changed_at, cart.key))
        cart = self._begin(fact)
        cart.settled_at = ordered_at
        cart.status = ORDERED if is_past else cart.status
        return cart

    def _find_unkeyed(self, owner: Owner) -> CartState | None:
        carts = self.owned[owner]
        return next((c for c in carts if not c.is_keyed_by_shop and c.status != ORDERED), None)

    def _begin(self, fact: Fact, key: str | None = None) -> CartState:
        cart = CartState(
            key=key or new_cart_key(),
            is_keyed_by_shop=key is not None,
            created_at=fact.at,
            changed_at=fact.at,
            is_trusted=fact.event.is_trusted,
            contact_id=fact.event.contact_id,
            anonymous_id=fact.event.anonymous_id,
        )
        self.books.carts.append(cart)
        if cart.owner is not None:
            self.owned[cart.owner].append(cart)
        return cart

    def _claim(self, cart: CartState, event: ProcessedEvent) -> None:
        before = cart.owner
        cart.claim(event)
        if cart.owner != before and cart.owner is not None:
            if before is not None:
                self.owned[before].remove(cart)
            self.owned[cart.owner].append(cart)

    # ---- Orders ----

    def _take_order(self, fact: Fact) -> None:
        told, order, at = fact.order, None, fact.at
        if told:
            order = self.books.orders.get(told.key)
            if order and not fact.event.is_trusted:
                return
            order = self._write_order(order, fact, told)
            at = order.ordered_at
        carts = self._ordered_carts(fact)
        for cart in carts:
            cart.settle(at)
        if order and carts:
            order.cart = carts[0]

    def _write_order(self, order: OrderState | None, fact: Fact, told: Told) -> OrderState:
        if order is None:
            order = self.books.orders[told.key] = OrderState.of(fact, told)
        else:
            self.placed[order.owner].discard(order)
            order.tell_again(fact, told)
        self.placed[order.owner].add(order)
        self.books.changed_orders[order.key] = order
        return order

    def _ordered_carts(self, fact: Fact) -> list[CartState]:
        """The cart that was ordered, first; then what else its person had without a shop's key.

        An order that names no cart may be of any of them, so it closes them all: better no reminder
        than one too many. A cart that is new to us is noted, since its events may follow.
        """
        carts: list[CartState] = []
        named = self._named_cart(fact)
        if named and named.is_open_to(fact.event):
            self._claim(named, fact.event)
        if named and (fact.event.is_trusted or named.is_open_to(fact.event)):
            carts.append(named)
        if fact.owner is None:
            return carts
        is_any = fact.cart_key is None
        others = [
            cart
            for cart in self.owned[fact.owner]
            if cart.status != ORDERED
            and (not cart.is_keyed_by_shop or (is_any and cart.status == OPEN))
        ]
        others.sort(key=lambda cart: (cart.status == OPEN, cart.changed_at, cart.key), reverse=True)
        return carts + others

    def _end_order(self, fact: Fact, told: Told) -> None:
        order = self.books.orders.get(told.key) or self._write_order(None, fact, told)
        order.end(fact.kind, fact.at)
        self.books.changed_orders[order.key] = order

    def _last_ordered(self, owner: Owner) -> datetime | None:
        times = [order.ordered_at for order in self.placed[owner]]
        if at := self.books.last_ordered.get(owner):
            times.append(at)
        return max(times, default=None)
