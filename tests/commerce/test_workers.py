"""Several workers at the same carts at once: nobody waits in a circle, and nothing is lost."""

from threading import Barrier, Thread

import pytest
from django.db import connection

from apps.commerce.models import Cart, CartItem, Order
from tests.commerce.shopping import add, after, happen, order, work_in
from tests.factories.contacts import ContactFactory

WORKERS = 4
TURNS = 8
CARTS = [f"c{number}" for number in range(6)]


def at_once(*works):
    """Run each on a connection of its own; raise what one of them raises."""
    problems = []
    barrier = Barrier(len(works))

    def run(work):
        try:
            barrier.wait()
            work()
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    threads = [Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    if problems:
        raise problems[0]


@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_carts_wait_for_each_other_and_lose_nothing():
    people = [ContactFactory() for _ in range(3)]

    def work(number):
        for turn in range(TURNS):
            events = [add("cup", people[place % 3], cart_id=key) for place, key in enumerate(CARTS)]
            events += [add("pot", person) for person in people]
            events += [add("tea", None, f"b{number}")]
            events += [order(f"o{turn}-{place}", people[place], at=after(-1)) for place in range(3)]
            # Each worker meets them in another order.
            start = (number * 5 + turn) % len(events)
            work_in(*events[start:], *events[:start])

    at_once(*(lambda number=number: work(number) for number in range(WORKERS)))

    lines = CartItem.objects.values_list("cart__key", "quantity")
    keyed = dict(lines.filter(cart__is_keyed_by_shop=True))
    assert keyed == dict.fromkeys(CARTS, WORKERS * TURNS)
    own = Cart.objects.filter(is_keyed_by_shop=False)
    assert own.exclude(contact=None).count() == 3
    assert set(
        lines.filter(cart__in=own.exclude(contact=None)).values_list("quantity", flat=True)
    ) == {WORKERS * TURNS}
    assert own.filter(contact=None).count() == WORKERS
    assert Order.objects.count() == TURNS * 3


@pytest.mark.django_db(transaction=True)
def test_an_order_in_one_shard_and_a_cart_event_in_another_take_turns():
    ada = ContactFactory()
    work_in(add("cup", ada, cart_id="c1"))

    def buy():
        for number in range(TURNS):
            work_in(order(f"o{number}", ada, at=after(number), cart_id="c1"))

    def fill():
        for number in range(TURNS):
            work_in(add("pot", ada, at=after(number), cart_id="c1"), happen("Cart Viewed", ada))

    at_once(buy, fill)
    work_in(order("last", ada, at=after(99), cart_id="c1"))

    assert Cart.objects.get(key="c1").status == "ordered"
    assert Order.objects.count() == TURNS + 1
