"""Carts and orders as the contact's page shows them."""

from datetime import datetime
from typing import Any

from apps.commerce.models import Cart, Order
from apps.contacts.models import Contact

NEWEST = 3


def read_panel(contact: Contact, now: datetime) -> dict[str, Any]:
    """What lies in the contact's newest carts, and what was ordered last."""
    carts = Cart.objects.filter(contact=contact).order_by("-changed_at").prefetch_related("items")
    orders = Order.objects.filter(contact=contact).order_by("-ordered_at")
    return {"carts": list(carts[:NEWEST]), "orders": list(orders[:NEWEST])}
