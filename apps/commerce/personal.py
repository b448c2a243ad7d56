"""What carts and orders hold about people."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from apps.commerce.models import Cart, Order
from apps.consent.registry import Fate, Holding, Subject, Table, register_holding
from apps.core.database import text_array

# An order stays as a figure: what was sold for how much, when. Whose it was and its number go.
_ORDERS = """
WITH chosen AS (
    SELECT id FROM commerce_order
    WHERE contact_id = %(contact_id)s
        OR contact_id IS NULL AND anonymous_id <> '' AND anonymous_id = ANY(%(browsers)s::text[])
    LIMIT %(limit)s
)
UPDATE commerce_order AS sold SET
    contact_id = NULL, cart_id = NULL, anonymous_id = '', key = 'erased-' || gen_random_uuid(),
    items = (
        SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
            'product_id', line.value -> 'product_id', 'price', line.value -> 'price',
            'quantity', line.value -> 'quantity'
        ))), '[]')
        FROM jsonb_array_elements(
            CASE jsonb_typeof(sold.items) WHEN 'array' THEN sold.items ELSE '[]' END
        ) AS line
        WHERE jsonb_typeof(line.value) = 'object'
    )
FROM chosen WHERE sold.id = chosen.id
"""


def _carts(subject: Subject) -> Q:
    """Theirs, and those of their browsers that nobody has taken over."""
    is_anonymous = Q(contact=None, anonymous_id__in=subject.browsers) & ~Q(anonymous_id="")
    return Q(contact_id=subject.contact_id) | is_anonymous


def erase(subject: Subject, now: datetime, limit: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            _ORDERS,
            {
                "contact_id": subject.contact_id,
                "browsers": text_array(subject.browsers),
                "limit": limit,
            },
        )
        count = int(cursor.rowcount)
    ids = list(Cart.objects.filter(_carts(subject)).values_list("pk", flat=True)[:limit])
    Cart.objects.filter(pk__in=ids).delete()
    return count + len(ids)


def read_carts(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    rows = Cart.objects.filter(_carts(subject)).order_by("pk").prefetch_related("items")
    for cart in rows.iterator(500):
        yield {
            "cart_id": cart.key,
            "status": cart.status,
            "currency": cart.currency,
            "created_at": cart.created_at,
            "changed_at": cart.changed_at,
            "url": cart.url,
            "items": [
                {
                    "product_id": item.product_key,
                    "name": item.name,
                    "price": item.price,
                    "quantity": item.quantity,
                }
                for item in cart.items.all()
            ],
        }


def read_orders(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    for order in Order.objects.filter(_carts(subject)).order_by("pk").iterator(500):
        yield {
            "order_id": order.key,
            "status": order.status,
            "total": order.total,
            "currency": order.currency,
            "ordered_at": order.ordered_at,
            "refunded_at": order.refunded_at,
            "items": order.items,
        }


def register() -> None:
    register_holding(
        Holding(
            name="commerce",
            label="Carts and orders",
            order=20,
            fates={
                "commerce.Product": {
                    Fate.IMPERSONAL: "key sku name description category brand url image_url"
                    " currency"
                },
                "commerce.Cart": {Fate.ERASED: "key anonymous_id currency url"},
                "commerce.CartItem": {Fate.ERASED: "product_key name url image_url"},
                "commerce.Order": {
                    Fate.ERASED: "key anonymous_id items",
                    Fate.IMPERSONAL: "currency",
                },
            },
            erase=erase,
            tables=(
                Table("carts", "Your carts", read_carts),
                Table("orders", "Your orders", read_orders),
            ),
        )
    )
