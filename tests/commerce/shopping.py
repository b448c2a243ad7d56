"""Events as the pipeline hands them to commerce, and carts as a test reads them back."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.db import transaction

from apps.commerce import projection
from apps.commerce.models import Cart
from apps.contacts.models import Contact
from apps.events.registry import Batch, ProcessedEvent
from tests.instants import NOON

_ids = count(1)


def after(minutes: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(minutes=minutes)


def happen(
    event: str,
    /,
    contact: Contact | None = None,
    browser: str = "",
    at: datetime = NOON,
    *,
    is_trusted: bool = True,
    is_backfill: bool = False,
    **properties: Any,
) -> ProcessedEvent:
    """An event of a contact, or of a browser that nobody has identified in."""
    number = next(_ids)
    return ProcessedEvent(
        id=number,
        contact_id=contact.pk if contact else None,
        anonymous_id=browser,
        type="track",
        name=event,
        properties=properties,
        context={},
        source_id=1,
        message_id=f"m{number}",
        is_trusted=is_trusted,
        is_backfill=is_backfill,
        received_at=at,
        occurred_at=at,
    )


def add(product: str = "cup", *args: Any, quantity: Any = 1, **rest: Any) -> ProcessedEvent:
    return happen("Product Added", *args, product_id=product, quantity=quantity, **rest)


def remove(product: str = "cup", *args: Any, quantity: Any = 1, **rest: Any) -> ProcessedEvent:
    return happen("Product Removed", *args, product_id=product, quantity=quantity, **rest)


def view(products: dict[str, int], *args: Any, **rest: Any) -> ProcessedEvent:
    """The cart's page, which lists all that is in it."""
    return happen("Cart Viewed", *args, products=listed(products), **rest)


def order(key: str = "o1", *args: Any, **rest: Any) -> ProcessedEvent:
    return happen("Order Completed", *args, order_id=key, **{"total": 11, **rest})


def listed(products: dict[str, int]) -> list[dict[str, Any]]:
    return [{"product_id": key, "quantity": quantity} for key, quantity in products.items()]


def work_in(
    *events: ProcessedEvent,
    adopted: tuple[ProcessedEvent, ...] = (),
    adoptions: dict[str, int] | None = None,
) -> None:
    """Hand these events to commerce as one batch, in a transaction as the pipeline does."""
    batch = Batch(now=NOON, events=list(events), adopted=list(adopted), adoptions=adoptions or {})
    with transaction.atomic():
        projection.apply(batch)


def keys(*events: ProcessedEvent) -> list[str | None]:
    """The carts that these events turned out to be about."""
    return [event.keys.get("cart") for event in events]


def contents(key: str = "c1") -> tuple[str, dict[str, int]]:
    """A cart's status, and how many of what lie in it."""
    cart = Cart.objects.get(key=key)
    return cart.status, dict(cart.items.values_list("product_key", "quantity"))


def only_contents() -> tuple[str, dict[str, int]]:
    """The same for the one cart there is."""
    return contents(Cart.objects.get().key)
