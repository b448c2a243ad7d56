"""Whatever happens in whatever order: the mails are those that a simple model expects.

The model is the story in a few lines, for one workflow: an hour of quiet, a mail, a day, another
mail, and an order ends it.
The product goes through the inbox, the pipeline, the engine and the gate,
with retried requests, parts of ticks, and deaths before the commit in between.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import strategies as st

from apps.core import registry
from apps.core.services import tick
from tests.factories.events import SourceFactory
from tests.factories.workflows import make_definition
from tests.instants import NOON
from tests.journeys.shop import Shop

pytestmark = pytest.mark.django_db

QUIET, DAY = timedelta(hours=1), timedelta(days=1)
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 20, 59, 61, 300)]
CARTS = ["c1", "c2"]


@dataclass
class Model:
    """What should happen, in plain steps."""

    inbox: list[tuple[str, datetime, str]] = field(default_factory=list)
    waits: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    outbox: list[tuple[str, str]] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def events(self, now: datetime) -> None:
        for kind, at, cart in self.inbox:
            if kind == "order":
                self.waits.clear()
                self.outbox.clear()
                continue
            step, ends = self.waits.get(cart, ("first", at + QUIET))
            if step == "first":
                self.waits[cart] = ("first", max(ends, at + QUIET))
        self.inbox.clear()

    def workflows(self, now: datetime) -> None:
        for cart, (step, ends) in list(self.waits.items()):
            if ends > now:
                continue
            self.outbox.append((step, cart))
            if step == "first":
                self.waits[cart] = ("second", now + DAY)
            else:
                del self.waits[cart]

    def messaging(self, now: datetime) -> None:
        if self.inbox:
            return
        self.sent += self.outbox
        self.outbox.clear()

    def tick(self, now: datetime) -> None:
        for part in (self.events, self.workflows, self.messaging):
            part(now)


ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(CARTS)),
    st.tuples(st.just("order"), st.sampled_from(CARTS)),
    st.tuples(st.just("retry"), st.just("")),
    st.tuples(st.just("tick"), st.just("")),
    st.tuples(st.just("part"), st.sampled_from(["events", "workflows", "messaging"])),
    st.tuples(st.just("death"), st.sampled_from(["events", "workflows"])),
)


class Death(Exception):
    """The process ends here."""


class World:
    """The product and the model, side by side."""

    def __init__(self) -> None:
        self.now = NOON
        self.model = Model()
        self.shop = Shop.__new__(Shop)
        self.shop.source = SourceFactory()
        self.shop.numbers = iter(range(1, 1000))
        self.last: tuple[str, datetime, str, str] | None = None
        self.stages = {stage.name: stage for stage in registry.stages()}

    def act(self, action: str, what: str) -> None:
        getattr(self, action)(what)

    def add(self, cart: str) -> None:
        message_id = f"add-{next(self.shop.numbers)}"
        self.shop.track(self.now, "Product Added", cart=cart, messageId=message_id)
        self.last = ("Product Added", self.now, cart, message_id)
        self.model.inbox.append(("add", self.now, cart))

    def order(self, cart: str) -> None:
        self.shop.order(self.now, cart)
        self.model.inbox.append(("order", self.now, cart))

    def retry(self, _: str) -> None:
        if self.last:
            event, at, cart, message_id = self.last
            self.shop.track(at, event, cart=cart, messageId=message_id)

    def tick(self, _: str) -> None:
        tick(now=self.now)
        self.model.tick(self.now)

    def part(self, name: str) -> None:
        """Only one stage gets its turn, as when a worker dies between two commits."""
        self.stages[name].run(self.now)
        getattr(self.model, name)(self.now)

    def death(self, name: str) -> None:
        """A worker dies before its commit: nothing has happened."""
        try:
            with transaction.atomic():
                self.stages[name].run(self.now)
                raise Death  # noqa: TRY301 -- the story needs it here
        except Death:
            pass


DEFINITION = make_definition(
    trigger={"event": "Product Added"},
    entry_key="cart",
    exit_when={"did": "Order Completed", "within": "since_enrollment"},
    trigger_window="300 days",
    steps=[
        {"wait": "1 hour", "restart_on_trigger": True},
        {"send": "first"},
        {"wait": "1 day"},
        {"send": "second"},
    ],
)
