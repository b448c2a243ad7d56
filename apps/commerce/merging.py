"""What a merge of two contacts means for their carts and orders."""

from typing import Any

import msgspec

from apps.commerce import store
from apps.commerce.books import Wanted
from apps.commerce.models import UNORDERED, Cart, CartItem
from apps.contacts.registry import Belonging, Merge, Moved, register_belonging

_ROW = (
    "anonymous_id", "is_trusted", "status", "currency", "url", "created_at", "changed_at",
    "checkout_started_at", "settled_at",
)  # fmt: skip
_ITEM = ("product_key", "name", "price", "quantity", "url", "image_url", "added_at")

Snapshot = dict[str, Any]


def merge(job: Merge) -> Moved:
    """The merged contact's carts move; of two without a shop's ID, one takes in the other.

    The one that was taken in stays where it was, emptied of its meaning and not of its lines.
    """
    theirs, own = _unkeyed(job.merged_id), _unkeyed(job.survivor_id)
    values: dict[str, Any] = {}
    if theirs and own:
        before = _snapshot(own.pk)
        _absorb(own, theirs)
        values = {
            "absorbed": {"id": theirs.pk, "status": theirs.status},
            "target": {"id": own.pk, "before": before, "after": _snapshot(own.pk)},
        }
        job.renamed[theirs.key] = own.key
    moving = Cart.objects.filter(contact=job.merged_id)
    if values:
        moving = moving.exclude(pk=values["absorbed"]["id"])
    ids = list(moving.order_by("pk").values_list("pk", flat=True))
    Cart.objects.filter(pk__in=ids).update(contact=job.survivor_id)
    return Moved(ids, values)


def undo(job: Merge, moved: Moved) -> None:
    """Give carts back; what the one took in goes again, as far as nobody has touched it since."""
    if target := moved.values.get("target"):
        _restore(target["id"], target["before"], target["after"])
        absorbed = moved.values["absorbed"]
        Cart.objects.filter(pk=absorbed["id"]).update(status=absorbed["status"])
    rows = Cart.objects.filter(pk__in=moved.row_ids, contact=job.survivor_id).order_by("pk")
    for cart in rows:
        # In the meantime they may have been given another one.
        if not (is_unkeyed(cart) and _unkeyed(job.merged_id)):
            Cart.objects.filter(pk=cart.pk).update(contact=job.merged_id)


def is_unkeyed(cart: Cart) -> bool:
    return not cart.is_keyed_by_shop and cart.status != Cart.Status.ORDERED


def _unkeyed(contact_id: int) -> Cart | None:
    rows = Cart.objects.filter(UNORDERED, contact=contact_id, is_keyed_by_shop=False)
    return rows.select_for_update().first()


def _absorb(own: Cart, theirs: Cart) -> None:
    books = store.load(Wanted(cart_keys={own.key, theirs.key}))
    carts = {cart.key: cart for cart in books.carts}
    carts[own.key].absorb(carts[theirs.key])
    store.save(books)
    Cart.objects.filter(pk=theirs.pk).update(status=Cart.Status.EMPTIED)


def _snapshot(cart_id: int) -> Snapshot:
    row = Cart.objects.filter(pk=cart_id).values(*_ROW).get()
    items = CartItem.objects.filter(cart=cart_id).order_by("pk").values(*_ITEM)
    found = {"row": row, "items": {item["product_key"]: item for item in items}}
    snapshot: Snapshot = msgspec.to_builtins(found)
    return snapshot


def _restore(cart_id: int, before: Snapshot, after: Snapshot) -> None:
    now = _snapshot(cart_id)
    for key in {*before["items"], *after["items"]}:
        if now["items"].get(key) != after["items"].get(key):
            continue
        CartItem.objects.filter(cart=cart_id, product_key=key).delete()
        if item := before["items"].get(key):
            CartItem.objects.create(cart_id=cart_id, **item)
    same = {name: value for name, value in now["row"].items() if value == after["row"][name]}
    Cart.objects.filter(pk=cart_id).update(**{name: before["row"][name] for name in same})
    if not CartItem.objects.filter(cart=cart_id).exists():
        Cart.objects.open().filter(pk=cart_id).update(status=Cart.Status.EMPTIED)
    else:
        rows = Cart.objects.filter(pk=cart_id, status=Cart.Status.EMPTIED)
        rows.update(status=Cart.Status.OPEN)


def register() -> None:
    register_belonging(Belonging("commerce.Cart", 10, label="Carts", merge=merge, undo=undo))
    register_belonging(Belonging("commerce.Order", 11, label="Orders"))
