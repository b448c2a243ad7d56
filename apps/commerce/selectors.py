"""Reads about carts."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from apps.commerce.models import Cart, CartItem, Product

CartContext = dict[str, Any]


def get_cart_context(keys: Iterable[str]) -> dict[str, CartContext]:
    """What a mail may show of these carts, by cart key; keys that nobody has used are left out.

    Only what can still be bought is in `items`: nothing of an ordered or emptied cart, and no
    product that has become unavailable. What the shop did not say about a line is taken from the
    product. An amount that nobody knows is empty text; then so is the total.
    """
    carts = {cart.pk: cart for cart in Cart.objects.filter(key__in=set(keys))}
    open_ids = [pk for pk, cart in carts.items() if cart.status == Cart.Status.OPEN]
    lines: dict[int, list[CartItem]] = {pk: [] for pk in carts}
    if open_ids:
        for line in CartItem.objects.filter(cart__in=open_ids).order_by("id"):
            lines[line.cart_id].append(line)
    known = {line.product_key for found in lines.values() for line in found}
    products = {product.key: product for product in Product.objects.filter(key__in=known)}
    return {cart.key: _context(cart, lines[pk], products) for pk, cart in carts.items()}


def _context(cart: Cart, lines: list[CartItem], products: dict[str, Product]) -> CartContext:
    currency = cart.currency or _shared_currency(lines, products)
    items = [
        _item(line, products.get(line.product_key), currency)
        for line in lines
        if line.product_key not in products or products[line.product_key].is_available
    ]
    totals = [item["total"] for item in items]
    is_complete = bool(totals) and "" not in totals
    return {
        "key": cart.key,
        "items": items,
        "item_count": sum(item["quantity"] for item in items),
        "total": sum(totals, Decimal(0)) if is_complete else "",
        "currency": currency,
        "url": cart.url,
    }


def _item(line: CartItem, product: Product | None, currency: str) -> dict[str, Any]:
    price = line.price
    if price is None and product and product.currency == currency:
        price = product.price
    return {
        "product_id": line.product_key,
        "name": line.name or (product.name if product else ""),
        "quantity": line.quantity,
        "price": "" if price is None else price,
        "total": "" if price is None else price * line.quantity,
        "url": line.url or (product.url if product else ""),
        "image_url": line.image_url or (product.image_url if product else ""),
    }


def _shared_currency(lines: list[CartItem], products: dict[str, Product]) -> str:
    """The catalog's currency for a cart that told none, as far as the catalog has one for it."""
    found = {products[line.product_key].currency for line in lines if line.product_key in products}
    return found.pop() if len(found) == 1 else ""
