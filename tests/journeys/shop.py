"""A shop that reports what people do, and the product's heartbeat."""

from datetime import datetime
from itertools import count
from typing import Any

from apps.core.services import tick
from apps.events import services as events
from apps.messaging.models import Message
from apps.workflows import services as workflows
from tests.factories.events import SourceFactory

CUP = {
    "product_id": "cup",
    "name": "Morning cup",
    "price": 11,
    "quantity": 2,
    "currency": "EUR",
    "url": "https://shop.example/cup",
    "image_url": "https://shop.example/cup.png",
}
MAX_TICKS = 20


class Shop:
    """One source with its keys; each call is one request that we have acknowledged."""

    def __init__(self, recipe: str, now: datetime) -> None:
        self.source = SourceFactory()
        self.workflow = workflows.install_recipe(key=recipe, now=now)
        workflows.go_live(workflow=self.workflow, now=now)
        self.numbers = count(1)

    def tell(self, at: datetime, *, is_secret: bool = True, **message: Any) -> None:
        message.setdefault("messageId", f"{self.source.pk}-{next(self.numbers)}")
        message.setdefault("timestamp", at.isoformat())
        accepted = events.accept(
            source=self.source, is_secret=is_secret, messages=[message], received_at=at
        )
        assert accepted.rejected == []

    def identify(self, at: datetime, **changes: Any) -> None:
        """Ada gives her address and agrees to mail."""
        preferences = {"tracking": True, "email_marketing": True}
        self.tell(
            at,
            type="identify",
            userId="ada",
            traits={"email": "ada@example.com", "firstName": "Ada"},
            context={"consent": {"categoryPreferences": preferences}},
            **changes,
        )

    def track(self, at: datetime, event: str, cart: str = "c1", **changes: Any) -> None:
        """Ada does something, as the shop's server reports it."""
        properties = {**CUP, "cart_id": cart}
        self.tell(at, type="track", event=event, userId="ada", properties=properties, **changes)

    def order(self, at: datetime, cart: str = "c1", order_id: str = "") -> None:
        order_id = order_id or f"o-{cart}"
        properties = {"order_id": order_id, "cart_id": cart, "total": 22, "products": [CUP]}
        self.tell(at, type="track", event="Order Completed", userId="ada", properties=properties)

    def browse(self, at: datetime, event: str, anonymous_id: str = "browser-1") -> None:
        """Somebody does something, as the browser reports it."""
        self.tell(
            at,
            is_secret=False,
            type="track",
            event=event,
            anonymousId=anonymous_id,
            properties={**CUP, "cart_id": "c1"},
        )


def live_until_quiet(now: datetime) -> None:
    """Tick until a turn finds nothing to do."""
    for _ in range(MAX_TICKS):
        if not +tick(now=now):
            return
    raise AssertionError("The product does not come to rest.")


def fates() -> list[tuple[str, str, str]]:
    """What became of each mail: (step, status, reason), oldest first."""
    return list(Message.objects.order_by("id").values_list("step_id", "status", "reason"))
