"""What happens in the shop, in the words of Segment's e-commerce specification."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse

from apps.core import tokens
from apps.demo.cart import Cart, Line
from apps.demo.catalog import CURRENCY, Product

CART_TOKEN = "demo.cart"  # noqa: S105 -- the purpose of a token, not one


@dataclass(frozen=True)
class Report:
    """One event for cuepost.track() in the browser, or for the server's own call."""

    event: str
    properties: dict[str, Any] = field(default_factory=dict)
    message_id: str = ""

    def as_data(self) -> dict[str, Any]:
        return {
            "event": self.event,
            "properties": self.properties,
            "options": {"messageId": self.message_id} if self.message_id else {},
        }


def product_list_viewed(name: str, products: list[Product], *, base_url: str) -> Report:
    listed = [
        {"position": position, **_describe(product, base_url=base_url)}
        for position, product in enumerate(products, start=1)
    ]
    return Report(
        "Product List Viewed",
        {"list_id": name.lower(), "category": name, "products": listed},
    )


def product_viewed(product: Product, *, base_url: str) -> Report:
    return Report("Product Viewed", _describe(product, base_url=base_url))


def quantity_changed(product: Product, before: int, cart: Cart, *, base_url: str) -> list[Report]:
    """Say what came into the cart or left it; nothing when the quantity is the same."""
    change = cart.quantity_of(product) - before
    if change == 0:
        return []
    event = "Product Added" if change > 0 else "Product Removed"
    properties = _describe(product, base_url=base_url) | {"quantity": abs(change)}
    return [Report(event, properties | _name(cart, base_url=base_url))]


def cart_viewed(cart: Cart, *, base_url: str) -> Report:
    return Report("Cart Viewed", _list(cart, base_url=base_url))


def checkout_started(cart: Cart, *, base_url: str) -> Report:
    """The same checkout, told by browser and server alike, bears the same ID and counts once."""
    content = hashlib.sha256(repr(sorted(cart.quantities().items())).encode()).hexdigest()
    message_id = f"checkout-{cart.id}-{content[:12]}"
    return Report("Checkout Started", _list(cart, base_url=base_url), message_id)


def order_completed(order_id: str, cart: Cart, *, base_url: str) -> Report:
    total = float(cart.total)
    amounts = {"order_id": order_id, "total": total, "revenue": total}
    properties = amounts | _list(cart, base_url=base_url)
    return Report("Order Completed", properties, f"order-{order_id}")


def _describe(product: Product, *, base_url: str) -> dict[str, Any]:
    return {
        "product_id": product.key,
        "sku": product.sku,
        "name": product.name,
        "price": float(product.price),
        "quantity": 1,
        "currency": CURRENCY,
        "category": product.category,
        "brand": product.brand,
        "url": base_url + product.path,
        "image_url": base_url + product.photo_url,
    }


def _describe_line(line: Line, *, base_url: str) -> dict[str, Any]:
    return _describe(line.product, base_url=base_url) | {"quantity": line.quantity}


def _name(cart: Cart, *, base_url: str) -> dict[str, Any]:
    """Name the cart, with an address that brings it back in any browser."""
    token = tokens.sign(CART_TOKEN, {"id": cart.id, "quantities": cart.quantities()})
    return {
        "cart_id": cart.id,
        "cart_url": base_url + reverse("demo:cart-restore", args=[token]),
    }


def _list(cart: Cart, *, base_url: str) -> dict[str, Any]:
    return {
        **_name(cart, base_url=base_url),
        "value": float(cart.total),
        "currency": CURRENCY,
        "products": [_describe_line(line, base_url=base_url) for line in cart.lines],
    }
