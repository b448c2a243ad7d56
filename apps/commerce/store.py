"""Carts and orders in the database: a few statements per batch, whatever its size.

Several workers may be at it. Whoever wants to write first takes advisory locks on the names of what
may be made, then the rows of what is there, each in one order, so that nobody waits in a circle.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from django.db import connection

from apps.commerce.books import Books, Wanted
from apps.commerce.carts import ORDERED, CartState, Item
from apps.commerce.orders import OrderState
from apps.commerce.reading import Line

# An order that names no cart closes those that its person has touched last.
RECENT_CARTS = 20
# So much of what an unknown visitor has left follows them when they identify.
ADOPTED_ROWS = 200

_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('commerce'), hash)
FROM (SELECT DISTINCT hashtext(name) AS hash FROM unnest(%s::text[]) AS name ORDER BY 1) AS names
"""
_CARTS = f"""
SELECT key, is_keyed_by_shop, created_at, changed_at, is_trusted, id, contact_id, anonymous_id,
    status, currency, url, checkout_started_at, settled_at
FROM commerce_cart
WHERE id IN (
    SELECT id FROM commerce_cart WHERE key = ANY(%(cart_keys)s::text[])
    UNION ALL
    SELECT id FROM commerce_cart
    WHERE contact_id = ANY(%(contacts)s::bigint[])
        AND NOT is_keyed_by_shop AND status <> 'ordered'
    UNION ALL
    SELECT id FROM commerce_cart
    WHERE anonymous_id = ANY(%(browsers)s::text[]) AND contact_id IS NULL
        AND NOT is_keyed_by_shop AND status <> 'ordered'
    UNION ALL
    SELECT recent.id FROM unnest(%(recent_contacts)s::bigint[]) AS owner (id)
    CROSS JOIN LATERAL (
        SELECT cart.id FROM commerce_cart AS cart WHERE cart.contact_id = owner.id
        ORDER BY cart.changed_at DESC LIMIT {RECENT_CARTS}
    ) AS recent
    UNION ALL
    SELECT recent.id FROM unnest(%(recent_browsers)s::text[]) AS owner (id)
    CROSS JOIN LATERAL (
        SELECT cart.id FROM commerce_cart AS cart
        WHERE cart.contact_id IS NULL AND cart.anonymous_id = owner.id
        ORDER BY cart.changed_at DESC LIMIT {RECENT_CARTS}
    ) AS recent
    UNION ALL
    SELECT recent.id FROM unnest(%(adopted_browsers)s::text[]) AS owner (id)
    CROSS JOIN LATERAL (
        SELECT cart.id FROM commerce_cart AS cart
        WHERE cart.contact_id IS NULL AND cart.anonymous_id = owner.id
        ORDER BY cart.changed_at DESC LIMIT {ADOPTED_ROWS}
    ) AS recent
)
ORDER BY id FOR UPDATE
"""  # noqa: S608 -- numbers of ours
_ITEMS = """
SELECT cart_id, added_at, product_key, quantity, name, price, url, image_url
FROM commerce_cartitem WHERE cart_id = ANY(%s) ORDER BY id
"""
_ORDERS = f"""
SELECT key, contact_id, anonymous_id, is_trusted, status, total, currency, ordered_at,
    refunded_at, cart_id
FROM commerce_order
WHERE id IN (
    SELECT id FROM commerce_order WHERE key = ANY(%(order_keys)s::text[])
    UNION ALL
    SELECT recent.id FROM unnest(%(adopted_browsers)s::text[]) AS owner (id)
    CROSS JOIN LATERAL (
        SELECT placed.id FROM commerce_order AS placed
        WHERE placed.contact_id IS NULL AND placed.anonymous_id = owner.id
        ORDER BY placed.ordered_at DESC LIMIT {ADOPTED_ROWS}
    ) AS recent
)
ORDER BY id FOR UPDATE
"""  # noqa: S608 -- a number of ours
_LAST_ORDERED = """
SELECT owner.id, NULL, placed.at
FROM unnest(%(contacts)s::bigint[]) AS owner (id) CROSS JOIN LATERAL (
    SELECT max(ordered_at) AS at FROM commerce_order
    WHERE contact_id = owner.id AND key <> ALL(%(order_keys)s::text[])
) AS placed
WHERE placed.at IS NOT NULL
UNION ALL
SELECT NULL, owner.id, placed.at
FROM unnest(%(browsers)s::text[]) AS owner (id) CROSS JOIN LATERAL (
    SELECT max(ordered_at) AS at FROM commerce_order
    WHERE contact_id IS NULL AND anonymous_id = owner.id AND key <> ALL(%(order_keys)s::text[])
) AS placed
WHERE placed.at IS NOT NULL
"""

_DROP_CARTS = """
WITH lines AS (DELETE FROM commerce_cartitem WHERE cart_id = ANY(%(ids)s))
DELETE FROM commerce_cart WHERE id = ANY(%(ids)s)
"""
_CHANGE_CARTS = """
UPDATE commerce_cart AS cart SET
    contact_id = new.contact_id, anonymous_id = new.anonymous_id,
    is_trusted = new.is_trusted, status = new.status, currency = new.currency, url = new.url,
    created_at = new.created_at, changed_at = new.changed_at,
    checkout_started_at = new.checkout_started_at, settled_at = new.settled_at
FROM jsonb_to_recordset(%s::jsonb) AS new (
    id bigint, contact_id bigint, anonymous_id text, is_trusted boolean, status text,
    currency text, url text,
    created_at timestamptz, changed_at timestamptz, checkout_started_at timestamptz,
    settled_at timestamptz
)
WHERE cart.id = new.id
"""
_ADD_CARTS = """
INSERT INTO commerce_cart (
    key, is_keyed_by_shop, contact_id, anonymous_id, is_trusted, status, currency, url,
    created_at, changed_at, checkout_started_at, settled_at
)
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS new (
    key text, is_keyed_by_shop boolean, contact_id bigint, anonymous_id text,
    is_trusted boolean, status text, currency text, url text, created_at timestamptz,
    changed_at timestamptz, checkout_started_at timestamptz, settled_at timestamptz
)
RETURNING key, id
"""
_DROP_ITEMS = """
DELETE FROM commerce_cartitem AS item
USING unnest(%s::bigint[], %s::text[]) AS old (cart_id, product_key)
WHERE item.cart_id = old.cart_id AND item.product_key = old.product_key
"""
_PUT_ITEMS = """
INSERT INTO commerce_cartitem (
    cart_id, added_at, product_key, quantity, name, price, url, image_url
)
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS new (
    cart_id bigint, added_at timestamptz, product_key text, quantity integer, name text,
    price numeric, url text, image_url text
)
ON CONFLICT (cart_id, product_key) DO UPDATE SET
    added_at = excluded.added_at, quantity = excluded.quantity, name = excluded.name,
    price = excluded.price, url = excluded.url, image_url = excluded.image_url
"""
_PUT_ORDERS = """
INSERT INTO commerce_order AS old (
    key, contact_id, anonymous_id, is_trusted, status, total, currency, ordered_at, refunded_at,
    cart_id, items
)
SELECT key, contact_id, anonymous_id, is_trusted, status, total, currency, ordered_at,
    refunded_at, cart_id, coalesce(items, '[]')
FROM jsonb_to_recordset(%s::jsonb) AS new (
    key text, contact_id bigint, anonymous_id text, is_trusted boolean, status text,
    total numeric, currency text, ordered_at timestamptz, refunded_at timestamptz,
    cart_id bigint, items jsonb
)
ON CONFLICT (key) DO UPDATE SET
    contact_id = excluded.contact_id, anonymous_id = excluded.anonymous_id,
    is_trusted = excluded.is_trusted, status = excluded.status, total = excluded.total,
    currency = excluded.currency, ordered_at = excluded.ordered_at,
    refunded_at = excluded.refunded_at, cart_id = excluded.cart_id,
    items = CASE WHEN excluded.items = '[]' THEN old.items ELSE excluded.items END
"""

_encode = msgspec.json.Encoder().encode


def load(wanted: Wanted) -> Books:
    """Lock and read what a batch is about. Call inside a transaction."""
    parameters = wanted.parameters()
    books = Books()
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [wanted.names()])
        cursor.execute(_CARTS, parameters)
        books.carts = [CartState(*row) for row in cursor.fetchall()]
        by_id = {
            cart.id: cart
            for cart in books.carts
            if cart.status != ORDERED or cart.key in wanted.cart_keys
        }
        if by_id:
            cursor.execute(_ITEMS, [list(by_id)])
            for cart_id, added_at, *line in cursor.fetchall():
                item = Item(Line(*line), added_at)
                by_id[cart_id].items[item.line.product_key] = item
        if wanted.order_keys or wanted.adopted_browsers:
            cursor.execute(_ORDERS, parameters)
            books.orders = {row[0]: OrderState(*row) for row in cursor.fetchall()}
        cursor.execute(_LAST_ORDERED, parameters)
        for contact_id, browser, at in cursor.fetchall():
            books.last_ordered[contact_id or browser] = at
    books.note_as_read()
    return books


def save(books: Books) -> None:
    """Write what has changed; first what makes room for what is new."""
    old = [cart for cart in books.carts if cart.id and cart.row() != books.row_as_read(cart)]
    new = [cart for cart in books.carts if not cart.id]
    with connection.cursor() as cursor:
        write = _writer(cursor)
        if gone := [cart.id for cart in books.absorbed if cart.id]:
            cursor.execute(_DROP_CARTS, {"ids": gone})
        write(_CHANGE_CARTS, [cart.row() for cart in old if cart.status == ORDERED])
        write(_CHANGE_CARTS, [cart.row() for cart in old if cart.status != ORDERED])
        if write(_ADD_CARTS, [cart.row() for cart in new]):
            ids = dict(cursor.fetchall())
            for cart in new:
                cart.id = ids[cart.key]
        _save_items(cursor, write, books)
        write(_PUT_ORDERS, [_order_row(order) for order in books.changed_orders.values()])


def _save_items(cursor: Any, write: Callable[..., bool], books: Books) -> None:
    put: list[dict[str, Any]] = []
    dropped: list[tuple[int | None, str]] = []
    for cart in books.carts:
        before = books.items_as_read(cart)
        if cart.items == before:
            continue
        dropped += [(cart.id, key) for key in before if key not in cart.items]
        put += [
            _item_row(cart, item) for key, item in cart.items.items() if before.get(key) != item
        ]
    if dropped:
        ids, keys = zip(*dropped, strict=True)
        cursor.execute(_DROP_ITEMS, [list(ids), list(keys)])
    write(_PUT_ITEMS, put)


def _writer(cursor: Any) -> Callable[[str, list[dict[str, Any]]], bool]:
    def write(statement: str, rows: Iterable[dict[str, Any]]) -> bool:
        if rows:
            cursor.execute(statement, [_encode(rows).decode()])
        return bool(rows)

    return write


def _item_row(cart: CartState, item: Item) -> dict[str, Any]:
    line = item.line
    return {
        "cart_id": cart.id,
        "added_at": item.added_at,
        "product_key": line.product_key,
        "quantity": line.quantity,
        "name": line.name,
        "price": line.price,
        "url": line.url,
        "image_url": line.image_url,
    }


def _order_row(order: OrderState) -> dict[str, Any]:
    return {
        "key": order.key,
        "contact_id": order.contact_id,
        "anonymous_id": order.anonymous_id,
        "is_trusted": order.is_trusted,
        "status": order.status,
        "total": order.total,
        "currency": order.currency,
        "ordered_at": order.ordered_at,
        "refunded_at": order.refunded_at,
        "cart_id": order.cart.id if order.cart else order.cart_id,
        "items": order.items,
    }
