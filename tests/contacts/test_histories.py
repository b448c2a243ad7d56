"""Whatever is said in whatever order, by whomever: the rules of identity and merging hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.commerce.models import Order
from apps.contacts import merging, suggestions
from apps.contacts.merging import CantMerge
from apps.contacts.models import Contact, Identity, MergeLog, MergeSuggestion
from apps.core.services import tick
from apps.events import services, signatures
from apps.events.models import Event, Source
from tests.contacts.people import everything
from tests.factories.events import SourceFactory
from tests.factories.workflows import WorkflowVersionFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

USERS = st.sampled_from(["ada", "bob", "cleo", None])
EMAILS = st.sampled_from(["ada@example.com", "bob@example.com", "cleo@example.com", None])
# A shop's server knows of some browsers; the others only speak for themselves.
KNOWN, STRANGE = st.sampled_from(["k1", "k2", "k3"]), st.sampled_from(["s1", "s2", "s3"])
CONSENT = st.sampled_from([None, {"email_marketing": True}, {"email_marketing": False}])
PRODUCTS = st.sampled_from(["cup", "pot"])


@st.composite
def calls(draw: st.DrawFn, browsers: st.SearchStrategy[str]) -> dict[str, Any]:
    """One call, with what a client may tell in it."""
    call: dict[str, Any] = {"userId": draw(USERS), "anonymousId": draw(browsers), "context": {}}
    if consent := draw(CONSENT):
        call["context"]["consent"] = {"categoryPreferences": consent, "method": "form"}
    kind = draw(st.sampled_from(["identify", "identify", "alias", "add", "order"]))
    if kind == "identify":
        traits = {"email": draw(EMAILS), "first_name": draw(st.sampled_from(["A", "B"]))}
        return {**call, "type": "identify", "traits": traits}
    if kind == "alias":
        previous = draw(st.one_of(browsers, st.sampled_from(["ada", "bob", "cleo"])))
        return {**call, "type": "alias", "previousId": previous}
    products = [{"product_id": draw(PRODUCTS), "quantity": 1}]
    if kind == "add":
        return {**call, "type": "track", "event": "Product Added", "properties": products[0]}
    order = {"order_id": f"o{draw(st.integers(1, 9))}", "total": 5, "products": products}
    return {**call, "type": "track", "event": "Order Completed", "properties": order}


STEPS = st.one_of(
    st.tuples(st.just("server"), calls(KNOWN)),
    st.tuples(st.just("server"), calls(KNOWN)),
    st.tuples(st.just("browser"), calls(STRANGE)),
    st.tuples(st.just("signed"), calls(KNOWN)),
    st.tuples(st.just("staff merges"), st.integers(0, 9)),
    st.tuples(st.just("merged and undone"), st.tuples(st.integers(0, 9), st.integers(0, 9))),
    st.tuples(st.just("undo"), st.integers(0, 9)),
)


@dataclass
class World:
    """One installation, from its first event on."""

    source: Source
    now: datetime = NOON
    orders: set[str] = field(default_factory=set)
    events: int = 0

    def take(self, step: str, told: Any) -> None:
        self.now += timedelta(minutes=7)
        if step in ("server", "browser", "signed"):
            self.send(step, told)
        elif step == "staff merges":
            self.decide(told)
        elif step == "undo":
            self.undo(told)
        else:
            self.merge_and_undo(*told)
        self.check()

    def send(self, by: str, call: dict[str, Any]) -> None:
        call = {**call, "messageId": f"m{self.events}"}
        if by == "signed" and call["userId"]:
            secret = signatures.identity_secret(self.source)
            signature = signatures.sign(call["userId"], secret)
            call["context"] = {**call["context"], "cuepost": {"identitySignature": signature}}
        known = proven()
        taken = services.accept(
            source=self.source, is_secret=by == "server", messages=[call], received_at=self.now
        )
        self.events += taken.stored
        tick(now=self.now)
        if by == "browser":
            assert {pk: row for pk, row in proven().items() if pk in known} == known

    def decide(self, number: int) -> None:
        rows = list(MergeSuggestion.objects.filter(status="open").order_by("id"))
        if rows:
            row = rows[number % len(rows)]
            suggestions.accept(
                suggestion_id=row.pk, is_swapped=number % 2 == 1, by="boss", now=self.now
            )

    def undo(self, number: int) -> None:
        logs = list(MergeLog.objects.order_by("id"))
        if logs:
            # A later merge, or an earlier undo, may stand in the way.
            with unless_refused():
                merging.undo(log_id=logs[number % len(logs)].pk, by="boss", now=self.now)

    def merge_and_undo(self, one: int, other: int) -> None:
        people = list(Contact.objects.present().order_by("id"))
        if not people:
            return
        survivor, merged = people[one % len(people)], people[other % len(people)]
        before = everything()
        with unless_refused():
            log = merging.merge(
                survivor_id=survivor.pk, merged_id=merged.pk, by="boss", now=self.now
            )
            later = self.now + timedelta(minutes=1)
            merging.undo(log_id=log.pk, by="boss", now=later)
        assert everything() == before

    def check(self) -> None:
        self.orders |= set(Order.objects.values_list("key", flat=True))
        assert set(Order.objects.values_list("key", flat=True)) == self.orders
        assert Event.objects.count() == self.events
        # By themselves only guests are merged.
        by_itself = MergeLog.objects.filter(merged_by=suggestions.BY_ALIAS)
        assert {log.before["merged"]["external_id"] for log in by_itself} <= {None}
        # Whoever was merged has nothing that an event could find.
        gone = Contact.objects.exclude(merged_into=None)
        assert not Identity.objects.filter(contact__in=gone).exists()
        assert not Event.objects.filter(contact__in=gone).exists()
        assert not gone.exclude(merged_into__merged_into=None).exists()


def proven() -> dict[int, Any]:
    """The contacts that a server has named: all that is known of them, and their proven names."""
    names = Identity.objects.filter(is_trusted=True).order_by("pk")
    return {
        contact.pk: (
            merging.values_of(contact),
            list(names.filter(contact=contact).values_list("kind", "value")),
        )
        for contact in Contact.objects.filter(identities__in=names).distinct()
    }


@contextmanager
def unless_refused() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except CantMerge:
        pass


@given(st.lists(STEPS, min_size=3, max_size=14))
@settings(max_examples=25, deadline=None)
def test_the_rules_hold_in_every_history(steps: list[tuple[str, Any]]) -> None:
    with transaction.atomic():
        WorkflowVersionFactory()
        world = World(SourceFactory())
        for step, told in steps:
            world.take(step, told)
        transaction.set_rollback(True)
