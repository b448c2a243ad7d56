"""Whatever happens in whatever order: the mails are those that a simple model expects.

The model is the story in a few lines, for one workflow: an hour of quiet, a mail, a day, another
mail, and an order ends it. The product goes through the inbox, the pipeline, the engine, the gate
and the outbox, with retried requests, parts of ticks, and deaths between any two commits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count

import pytest
from django.core import mail
from django.db import transaction
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core import registry
from apps.messaging import delivery, gate, ledger
from apps.messaging.models import Message
from apps.workflows import services as workflows
from apps.workflows.gate import TOLERANCE
from tests.factories.events import SourceFactory
from tests.factories.workflows import make_definition, publish_mails
from tests.instants import NOON
from tests.journeys.shop import Shop, live_until_quiet

pytestmark = pytest.mark.django_db

QUIET, DAY = timedelta(hours=1), timedelta(days=1)
A_MOMENT = timedelta(microseconds=1)
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 20, 59, 61, 300)]
CARTS = ["c1", "c2"]

DEFINITION = make_definition(
    trigger={"event": "Product Added"},
    entry_key="cart",
    exit_when={"did": "Order Completed", "within": "since_enrollment"},
    trigger_window="300 days",
    steps=[
        {"wait": "1 hour", "restart_on_trigger": True},
        {"id": "first", "send": "first"},
        {"wait": "1 day"},
        {"id": "second", "send": "second"},
    ],
)


@dataclass(eq=False)
class Letter:
    """One mail that waits in the model's outbox, or has left it; `first` went before it."""

    step: str
    cart: str
    queued_at: datetime
    due_at: datetime
    first: "Letter | None" = None
    left_at: datetime | None = None
    lost_claims: int = 0
    is_pointless: bool = False


@dataclass
class Model:
    """What should happen, in plain steps."""

    inbox: list[tuple[str, datetime, str]] = field(default_factory=list)
    waits: dict[str, tuple[Letter | None, datetime]] = field(default_factory=dict)
    outbox: list[Letter] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    in_doubt: list[tuple[str, str]] = field(default_factory=list)

    def events(self, now: datetime) -> None:
        for kind, at, cart in self.inbox:
            if kind == "order":
                self.waits.clear()
                for letter in self.outbox:
                    letter.is_pointless = True
            elif kind == "add":
                first, ends = self.waits.get(cart, (None, at + QUIET))
                if first is None:
                    self.waits[cart] = (None, max(ends, at + QUIET))
        self.inbox.clear()

    def workflows(self, now: datetime) -> None:
        for cart, (first, ends) in list(self.waits.items()):
            if ends > now:
                continue
            letter = Letter("second" if first else "first", cart, now, now, first)
            self.outbox.append(letter)
            if first is None:
                self.waits[cart] = (letter, now + DAY)
            else:
                del self.waits[cart]

    def messaging(self, now: datetime) -> None:
        # One by one, and each takes a moment.
        for letter in self.claim(now):
            self.sent += self.pass_gate([letter], now, left_at=now + A_MOMENT)

    def claim(self, now: datetime) -> list[Letter]:
        """Those in front of the first that may be to blame for lost claims; that one goes alone."""
        self.outbox = [letter for letter in self.outbox if letter.lost_claims < 3]
        due = [letter for letter in self.outbox if letter.due_at <= now]
        line = sorted(due, key=lambda letter: letter.due_at)
        suspects = [place for place, letter in enumerate(line) if letter.lost_claims == 2]
        return line[: max(suspects[0], 1)] if suspects else line

    def pass_gate(
        self, letters: list[Letter], now: datetime, *, left_at: datetime
    ) -> list[tuple[str, str]]:
        """Those who may go; the others wait, or are pointless or too late."""
        gone = []
        for letter, until in [(letter, self.held_until(letter, now)) for letter in letters]:
            if until:
                letter.lost_claims, letter.due_at = 0, until
                continue
            self.outbox.remove(letter)
            if not letter.is_pointless and now - letter.queued_at <= gate.LATEST:
                letter.left_at = left_at
                gone.append((letter.step, letter.cart))
        return gone

    def held_until(self, letter: Letter, now: datetime) -> datetime | None:
        """What a letter waits for: the inbox, or its distance from a first one that was late."""
        if self.inbox:
            return now + delivery.HOLD_FOR_EVENTS
        if letter.first is None or letter.is_pointless:
            return None
        if letter.first in self.outbox:
            return now + delivery.HOLD
        if letter.first.left_at is None:
            return None
        may_go_at = letter.first.left_at + (letter.queued_at - letter.first.queued_at)
        return may_go_at if now < may_go_at - TOLERANCE else None


class Death(Exception):
    """The process ends here."""


class World:
    """The product and the model, side by side."""

    def __init__(self) -> None:
        self.now = NOON
        self.model = Model()
        self.numbers = count(1)
        self.last: Callable[[], None] | None = None
        self.stages = {stage.name: stage for stage in registry.stages()}
        publish_mails(DEFINITION)
        version = workflows.save_definition(source=DEFINITION, now=NOON)
        workflows.go_live(workflow=version.workflow, now=NOON)
        self.shop = Shop.__new__(Shop)
        self.shop.source = SourceFactory()
        self.shop.numbers = self.numbers
        self.shop.identify(NOON)
        live_until_quiet(NOON)

    # --- what people and clients do -------------------------------------------------------------

    def add(self, cart: str) -> None:
        at, message_id = self.now, f"add-{next(self.numbers)}"
        tell = partial(self.shop.track, at, "Product Added", cart=cart, messageId=message_id)
        tell()
        self.last = tell
        self.model.inbox.append(("add", at, cart))

    def order(self, cart: str) -> None:
        self.shop.order(self.now, cart, order_id=f"o-{next(self.numbers)}")
        self.model.inbox.append(("order", self.now, cart))

    def retry(self, _: str) -> None:
        """The client did not hear our answer; its event waits in the inbox once more."""
        if self.last is not None:
            self.last()
            self.model.inbox.append(("retry", self.now, ""))

    # --- what workers do, and how they die ------------------------------------------------------

    def tick(self, _: str) -> None:
        for name in ("events", "workflows", "messaging"):
            self.part(name)

    def part(self, name: str) -> None:
        """Only one stage gets its turn, as when a worker dies between two commits."""
        self.stages[name].run(self.now)
        getattr(self.model, name)(self.now)

    def death_before_commit(self, name: str) -> None:
        """Nothing has happened."""
        try:
            with transaction.atomic():
                self.stages[name].run(self.now)
                raise Death  # noqa: TRY301 -- the story needs it here
        except Death:
            pass

    def death_after_claim(self, _: str) -> None:
        """The claims are committed, and nobody works on them."""
        delivery.reap(now=self.now)
        ledger.claim(now=self.now, limit=100)
        for letter in self.model.claim(self.now):
            letter.lost_claims += 1

    def death_after_gate(self, _: str) -> None:
        """Beyond the point of no return: whether it went out, nobody can know."""
        delivery.reap(now=self.now)
        claims = ledger.claim(now=self.now, limit=100)
        delivery._pass_gate(claims, self.now)
        letters = self.model.claim(self.now)
        self.model.in_doubt += self.model.pass_gate(letters, self.now, left_at=self.now)


ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(CARTS)),
    st.tuples(st.just("order"), st.sampled_from(CARTS)),
    st.tuples(st.just("retry"), st.just("")),
    st.tuples(st.just("tick"), st.just("")),
    st.tuples(st.just("part"), st.sampled_from(["events", "workflows", "messaging"])),
    st.tuples(st.just("death_before_commit"), st.sampled_from(["events", "workflows"])),
    st.tuples(st.sampled_from(["death_after_claim", "death_after_gate"]), st.just("")),
)
STORIES = st.lists(st.tuples(ACTIONS, st.sampled_from(PAUSES)), min_size=3, max_size=25)


def messages(status: str) -> list[tuple[str, str]]:
    rows = Message.objects.filter(status=status)
    return sorted((row.step_id, row.context["cart_key"]) for row in rows)


def live_through(story: list[tuple[tuple[str, str], timedelta]]) -> World:
    """Everything in its order, and then three days in which all that is due comes out."""
    world = World()
    for (action, what), pause in story:
        getattr(world, action)(what)
        world.now += pause
    for hours in (0, 1, 2, 25, 26, 50, 72):
        world.now += timedelta(hours=hours)
        world.tick("")
    return world


@settings(max_examples=60, deadline=None)
@given(STORIES)
def test_mails_are_those_that_the_model_expects(story):
    mail.outbox.clear()
    # One by one at the gate, so that the model knows which mail sees the other leave.
    with transaction.atomic(), override_settings(GATE_BATCH=1):
        world = live_through(story)
        outcome = messages("sent"), messages("in_doubt")
        transaction.set_rollback(True)

    assert outcome == (sorted(world.model.sent), sorted(world.model.in_doubt))
    assert len(mail.outbox) == len(world.model.sent)
