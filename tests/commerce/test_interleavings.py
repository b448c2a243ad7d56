"""Whatever is reported in whatever order and batches: the carts are what a model says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.commerce.models import Cart, Order
from tests.commerce.shopping import add, after, happen, listed, order, remove, view, work_in
from tests.factories.contacts import ContactFactory

pytestmark = pytest.mark.django_db

PRODUCTS = ["cup", "pot", "tea"]
MINUTES = st.integers(0, 9)
LISTS = st.dictionaries(st.sampled_from(PRODUCTS), st.integers(1, 4))
CUTS = st.lists(st.integers(1, 4), max_size=30)


class _Undo(Exception):
    """Leave no trace."""


@contextmanager
def undone() -> Iterator[None]:
    """Roll back what happens inside."""
    try:
        with transaction.atomic():
            yield
            raise _Undo  # noqa: TRY301 -- that is the point
    except _Undo:
        pass


def batches(events: list[Any], cuts: list[int]) -> Iterator[list[Any]]:
    """The events in batches of these sizes, and the rest in one."""
    rest = list(events)
    for size in cuts:
        if rest:
            yield rest[:size]
            rest = rest[size:]
    if rest:
        yield rest


# ---- Against a model -----------------------------------------------------------------------------


@dataclass
class ModelCart:
    """One cart by the rules, in plain steps."""

    lines: dict[str, tuple[int, int]] = field(default_factory=dict)
    is_ordered: bool = False
    settled: int = -1
    changed: int = -1

    def put(self, product: str, quantity: int, at: int) -> None:
        before, last = self.lines.get(product, (0, at))
        self.lines[product] = (before + quantity, max(at, last))

    def add(self, product: str, quantity: int, at: int) -> None:
        if at < self.settled:
            return
        if self.is_ordered:
            self.lines = {}
        self.is_ordered = False
        self.put(product, quantity, at)
        self.changed = max(self.changed, at)

    def remove(self, product: str, quantity: int, at: int) -> None:
        if at < self.settled or self.is_ordered:
            return
        before, last = self.lines.pop(product, (0, at))
        if before > quantity:
            self.lines[product] = (before - quantity, last)
        self.changed = max(self.changed, at)

    def view(self, products: dict[str, int], at: int) -> None:
        if self.is_ordered or at < self.changed:
            return
        self.lines = {product: (quantity, at) for product, quantity in products.items()}
        self.settled = self.changed = at

    def order(self, at: int) -> None:
        self.settled = max(self.settled, at)
        if self.is_ordered:
            return
        later = {product: line for product, line in self.lines.items() if line[1] > at}
        if later:
            self.lines = later
        else:
            self.is_ordered = True
            self.changed = max(self.changed, at)

    def shown(self) -> tuple[str, dict[str, int]]:
        lines = {product: quantity for product, (quantity, _) in self.lines.items()}
        if self.is_ordered:
            return "ordered", lines
        return "open" if lines else "emptied", lines


CART = st.sampled_from(["c1", "c2"])
PRODUCT = st.sampled_from(PRODUCTS)
QUANTITY = st.integers(1, 4)
HAPPENINGS = st.one_of(
    st.tuples(st.sampled_from(["add", "remove"]), CART, MINUTES, PRODUCT, QUANTITY),
    st.tuples(st.just("view"), CART, MINUTES, LISTS),
    st.tuples(st.just("order"), CART, MINUTES),
)


@given(story=st.lists(HAPPENINGS, min_size=1, max_size=20), cuts=CUTS)
@settings(max_examples=150, deadline=None)
def test_carts_are_what_the_model_says(story: list[Any], cuts: list[int]) -> None:
    with undone():
        ada = ContactFactory(email=None)
        model: dict[str, ModelCart] = {}
        events = []
        for number, (what, cart, minute, *rest) in enumerate(story):
            getattr(model.setdefault(cart, ModelCart()), what)(*rest, minute)
            told = {"at": after(minute), "cart_id": cart}
            if what == "order":
                events.append(order(f"o{number}", ada, **told))
            elif what == "view":
                events.append(view(rest[0], ada, **told))
            else:
                make = add if what == "add" else remove
                events.append(make(rest[0], ada, quantity=rest[1], **told))

        for batch in batches(events, cuts):
            work_in(*batch)

        found = {
            cart.key: (cart.status, dict(cart.items.values_list("product_key", "quantity")))
            for cart in Cart.objects.all()
        }
        assert found == {key: cart.shown() for key, cart in model.items()}
        assert {event.keys.get("cart") for event in events} <= {"c1", "c2", None}


# ---- However the batch is cut --------------------------------------------------------------------

NAMES = [
    "Product Added", "Product Removed", "Cart Viewed", "Checkout Started",
    "Order Completed", "Order Refunded", "Order Cancelled", "Order Updated",
]  # fmt: skip


@dataclass(frozen=True)
class Telling:
    """An event of anybody about anything."""

    name: str
    who: int
    is_trusted: bool
    minute: int
    cart: str | None
    product: str
    quantity: int
    products: tuple[tuple[str, int], ...]
    number: int

    def event(self, people: list[Any]) -> Any:
        contact, browser = people[self.who]
        return happen(
            self.name,
            contact,
            browser,
            after(self.minute),
            is_trusted=self.is_trusted,
            product_id=self.product,
            quantity=self.quantity,
            price=self.quantity,
            products=listed(dict(self.products)),
            cart_url=f"https://shop.example/{self.minute}",
            # Nobody's orders are told by two people.
            order_id=f"o{self.who}-{self.number}",
            **({"cart_id": self.cart} if self.cart else {}),
        )


TELLINGS = st.builds(
    Telling,
    name=st.sampled_from(NAMES),
    who=st.integers(0, 3),
    is_trusted=st.booleans(),
    minute=MINUTES,
    cart=st.sampled_from(["c1", "c2", None]),
    product=PRODUCT,
    quantity=QUANTITY,
    products=LISTS.map(lambda products: tuple(products.items())),
    number=st.integers(0, 2),
)


def outcome(events: list[Any], cuts: list[int]) -> tuple[Any, ...]:
    """All that is in the tables afterwards, and which cart each event turned out to be about."""
    for event in events:
        event.keys.clear()
    with undone():
        for batch in batches(events, cuts):
            work_in(*batch)
        named = [key for event in events if (key := event.keys.get("cart"))]
        places = {
            key: key if key[0] == "c" and len(key) == 2 else named.index(key) for key in named
        }
        carts = [
            (
                places.get(cart.key, "unnamed"), cart.is_keyed_by_shop, cart.contact_id,
                cart.anonymous_id, cart.is_trusted, cart.status, cart.url, cart.created_at,
                cart.changed_at, cart.checkout_started_at, cart.settled_at,
                sorted(cart.items.values_list("product_key", "quantity", "price", "added_at")),
            )
            for cart in Cart.objects.all()
        ]  # fmt: skip
        orders = Order.objects.order_by("key").values_list(
            "key", "contact", "anonymous_id", "status", "is_trusted", "ordered_at", "refunded_at"
        )
        keys = [places.get(event.keys.get("cart", "")) for event in events]
        return sorted(carts, key=repr), list(orders), keys


@given(told=st.lists(TELLINGS, min_size=2, max_size=15), cuts=CUTS)
@settings(max_examples=200, deadline=None)
def test_how_a_batch_is_cut_changes_nothing(told: list[Telling], cuts: list[int]) -> None:
    with undone():
        ada, bob = ContactFactory(email=None), ContactFactory(email=None)
        people = [(ada, "b1"), (bob, ""), (None, "b1"), (None, "b2")]
        events = [telling.event(people) for telling in told]

        assert outcome(events, cuts) == outcome(events, [])
