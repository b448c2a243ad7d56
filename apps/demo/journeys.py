"""The shipped week of the demo shop, told in the events that a real week would have sent."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from apps.core.clock import parse_duration
from apps.demo import cart as carts
from apps.demo import catalog, ecommerce
from apps.demo.visitor import Customer, agree

JOURNEYS_FILE = Path(__file__).parent / "data" / "journeys.yaml"
NAMESPACE = uuid.UUID("6f1f2a0e-6a55-4c0c-9c0b-3d6f9f3f7a10")


@dataclass(frozen=True)
class Moment:
    """What one person did at one time: events, or the click that ends all mail."""

    at: datetime
    email: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    is_unsubscribe: bool = False


def read_moments(*, base_url: str, now: datetime) -> list[Moment]:
    """Everything that happened in the week before `now`, oldest first."""
    people = yaml.safe_load(JOURNEYS_FILE.read_text(encoding="utf-8"))
    moments = [
        moment for person in people for moment in _Journey(person, base_url=base_url).play(now=now)
    ]
    return sorted(moments, key=lambda moment: moment.at)


class _Journey:
    """One person on the way through the shop, with a browser and a cart."""

    def __init__(self, person: dict[str, Any], *, base_url: str) -> None:
        self.person = person
        self.base_url = base_url
        self.key = f"{person['first_name']}.{person['last_name']}".replace(" ", "").lower()
        self.customer = Customer(
            email=f"{self.key}@example.com",
            first_name=person["first_name"],
            last_name=person["last_name"],
            wants_mail=person["wants_mail"],
        )
        self.anonymous_id = str(uuid.uuid5(NAMESPACE, self.key))
        self.session: dict[str, Any] = {}
        self.is_identified = False
        self.order_count = 0

    def play(self, *, now: datetime) -> Iterator[Moment]:
        for number, step in enumerate(self.person["steps"], start=1):
            at = now - parse_duration(step["ago"])
            reports = self._reports(step)
            if step.get("identified"):
                self.is_identified = True
            messages = [self._identify()] if step.get("identified") else []
            messages += [self._track(report) for report in reports]
            for position, message in enumerate(messages):
                # The same message at each seeding: what was seeded before is not seeded twice.
                message["messageId"] = f"seed-{self.key}-{number}-{position}"
                message["timestamp"] = message["sentAt"] = at.isoformat()
            yield Moment(at, self.customer.email, messages, bool(step.get("unsubscribed")))

    def _reports(self, step: dict[str, Any]) -> list[ecommerce.Report]:
        if "viewed" in step:
            product = catalog.get_product(step["viewed"])
            return [ecommerce.product_viewed(product, base_url=self.base_url)]
        if "added" in step:
            return self._change(catalog.get_product(step["added"]), by=1)
        if "removed" in step:
            return self._change(catalog.get_product(step["removed"]), by=-1)
        if "identified" in step:
            cart = carts.load_cart(self.session)
            return [ecommerce.checkout_started(cart, base_url=self.base_url)]
        return self._order() if "ordered" in step else []

    def _change(self, product: catalog.Product, *, by: int) -> list[ecommerce.Report]:
        cart = carts.load_cart(self.session)
        before = cart.quantity_of(product)
        cart_id = cart.id or str(uuid.uuid5(NAMESPACE, f"{self.key}-{self.order_count}"))
        quantities = cart.quantities() | {product.key: before + by}
        changed = carts.store_cart(self.session, cart_id, quantities)
        return ecommerce.quantity_changed(product, before, changed, base_url=self.base_url)

    def _order(self) -> list[ecommerce.Report]:
        cart = carts.load_cart(self.session)
        self.order_count += 1
        order_id = f"KC-{uuid.uuid5(NAMESPACE, cart.id).hex[:10].upper()}"
        carts.clear_cart(self.session)
        return [ecommerce.order_completed(order_id, cart, base_url=self.base_url)]

    def _identify(self) -> dict[str, Any]:
        traits = {
            "email": self.customer.email,
            "firstName": self.customer.first_name,
            "lastName": self.customer.last_name,
            "country": self.person["country"],
            "timezone": self.person["time_zone"],
        }
        message = self._address({"type": "identify", "traits": traits})
        if self.customer.wants_mail:
            # Everybody in the story has accepted what the shop's banner asks for.
            message["context"]["consent"]["categoryPreferences"]["open_tracking"] = True
            agree(message["context"]["consent"])
        return message

    def _track(self, report: ecommerce.Report) -> dict[str, Any]:
        return self._address(
            {"type": "track", "event": report.event, "properties": report.properties}
        )

    def _address(self, message: dict[str, Any]) -> dict[str, Any]:
        message["anonymousId"] = self.anonymous_id
        if self.is_identified:
            message["userId"] = self.customer.number
        message["context"] = {"consent": {"categoryPreferences": {"tracking": True}}}
        return message
