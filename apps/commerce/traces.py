"""What events did to carts and orders, for the live debugger of events."""

from django.db.models import Q

from apps.commerce import facts, reading
from apps.commerce.facts import KINDS, Kind
from apps.commerce.models import Cart, Order
from apps.core.pages import object_url
from apps.events.models import Event
from apps.events.registry import Effect, EffectSource, register_effect_source

ABOUT_ORDERS = frozenset(Kind) - facts.ABOUT_CARTS


def read(event: Event) -> list[Effect]:
    """The cart and the order that the event is about, as they are now."""
    kind = KINDS.get(event.name)
    if kind is None or event.type not in facts.TOLD or not isinstance(event.properties, dict):
        return []
    effects = []
    if kind in ABOUT_ORDERS:
        effects.append(_order(event))
    effects += _carts(event)
    return effects


def _order(event: Event) -> Effect:
    key = reading.read_id(event.properties.get("order_id"), length=reading.ORDER_KEY_LENGTH)
    if key is None:
        return Effect("It names no order_id, so no order was written", "warning")
    order = Order.objects.filter(key=key).first()
    if order is None:
        return Effect("No order was written")
    source = "as the server told it" if order.is_trusted else "as a browser told it"
    amount = f"{order.total} {order.currency}".strip()
    words = f"Order {order.key}: {order.get_status_display()}, {amount}, {source}"
    return Effect(words, "good", object_url(order))


def _carts(event: Event) -> list[Effect]:
    key = reading.read_id(event.properties.get("cart_id"), length=reading.CART_KEY_LENGTH)
    whose = Q(contact_id=event.contact_id)
    if event.contact_id is None:
        if not event.anonymous_id:
            return []
        whose = Q(contact=None, anonymous_id=event.anonymous_id)
    cart = Cart.objects.filter(key=key).filter(whose).first() if key else None
    cart = cart or Cart.objects.filter(whose).order_by("-changed_at", "-id").first()
    if cart is None:
        return [Effect("No cart was changed")]
    return [Effect(f"Cart: {cart.get_status_display()}", url=object_url(cart))]


def register() -> None:
    register_effect_source(
        EffectSource("commerce", "Carts and orders", 40, "commerce.view_cart", read)
    )
