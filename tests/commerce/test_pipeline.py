"""Carts through the whole pipeline: who an event is about is found out there."""

import pytest

from apps.commerce.models import Cart, Order
from apps.contacts.models import Contact
from apps.events import pipeline, services
from apps.events.models import RejectedEvent
from tests.commerce.shopping import after
from tests.factories.events import SourceFactory

pytestmark = pytest.mark.django_db


def browser(event, minute, **properties):
    return False, {
        "type": "track", "event": event, "anonymousId": "b1",
        "timestamp": after(minute).isoformat(), "properties": properties,
    }  # fmt: skip


def server(event, minute, **properties):
    return True, {
        "type": "track", "event": event, "userId": "ada", "timestamp": after(minute).isoformat(),
        "properties": properties,
    }  # fmt: skip


IDENTIFY = True, {"type": "identify", "userId": "ada", "anonymousId": "b1"}

BEFORE = [
    browser("Product Added", 0, product_id="cup"),
    browser("Product Added", 1, product_id="pot", cart_id="c1"),
    browser("Product Removed", 2, product_id="cup"),
    browser("Product Added", 3, product_id="tea", quantity=2),
]
AFTER = [
    browser("Product Added", 5, product_id="tea"),
    browser("Cart Viewed", 6, cart_id="c1", products=[{"product_id": "pot", "quantity": 3}]),
]


@pytest.mark.parametrize("is_split", [True, False])
def test_a_visitors_cart_is_the_same_whenever_they_identify(is_split):
    source = SourceFactory()
    for is_secret, message in [*BEFORE, IDENTIFY, *AFTER]:
        services.accept(
            source=source, is_secret=is_secret, messages=[message], received_at=after(9)
        )
        if is_split:
            pipeline.drain(now=after(9))
    pipeline.drain(now=after(9))

    ada = Contact.objects.get()
    found = {
        cart.key if cart.is_keyed_by_shop else "": (
            cart.contact, cart.status, dict(cart.items.values_list("product_key", "quantity")),
        )
        for cart in Cart.objects.all()
    }  # fmt: skip
    assert found == {"c1": (ada, "open", {"pot": 3}), "": (ada, "open", {"tea": 3})}


def test_an_order_that_the_server_tells_closes_what_the_browser_has_filled():
    source = SourceFactory()
    story = [*BEFORE, IDENTIFY, *AFTER, server("Order Completed", 8, order_id="o1", total=9)]
    for is_secret, message in story:
        services.accept(
            source=source, is_secret=is_secret, messages=[message], received_at=after(9)
        )

    pipeline.drain(now=after(9))

    assert set(Cart.objects.values_list("status", flat=True)) == {"ordered"}
    assert Order.objects.get().contact == Contact.objects.get()
    assert not RejectedEvent.objects.exists()
