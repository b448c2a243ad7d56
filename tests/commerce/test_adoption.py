"""What an unknown visitor has left follows them when they identify."""

import pytest

from apps.commerce.models import Cart, Order
from tests.commerce.shopping import (
    add,
    after,
    contents,
    happen,
    keys,
    only_contents,
    order,
    remove,
    view,
    work_in,
)
from tests.factories.contacts import ContactFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return ContactFactory()


def browse(event, browser="b1"):
    """The same event, as the browser of nobody known sends it."""
    event.anonymous_id = browser
    event.is_trusted = False
    return event


def identify(ada, *history, browser="b1", new=()):
    """The batch in which Ada identifies, with what her browser did before."""
    for event in history:
        event.contact_id = ada.pk
        event.keys.clear()
    work_in(*new, adopted=history, adoptions={browser: ada.pk})


def test_the_cart_becomes_the_contacts_and_its_events_know_it(ada):
    history = [
        browse(add("cup", cart_id="c1")),
        browse(happen("Product Viewed")),
        browse(add("pot")),
    ]
    work_in(*history)

    identify(ada, *history)

    assert keys(*history)[:2] == ["c1", None]
    assert contents("c1") == ("open", {"cup": 1})
    assert contents(history[2].keys["cart"]) == ("open", {"pot": 1})
    assert set(Cart.objects.values_list("contact", "anonymous_id")) == {(ada.pk, "b1")}


def test_history_is_not_worked_in_twice(ada):
    history = [browse(add("cup", cart_id="c1", quantity=2))]
    work_in(*history)

    identify(ada, *history, new=[add("cup", ada, "b1", cart_id="c1", is_trusted=False)])

    assert contents() == ("open", {"cup": 3})


def test_other_browsers_keep_theirs(ada):
    work_in(browse(add("cup", cart_id="c1")), browse(add("cup", cart_id="c2"), "b2"))

    identify(ada)

    assert list(Cart.objects.order_by("key").values_list("contact", flat=True)) == [ada.pk, None]


def test_a_cart_without_a_key_joins_the_contacts_own(ada):
    hers = add("cup", ada, cart_url="https://shop.example/hers")
    history = [
        browse(add("cup", at=after(1), cart_url="https://shop.example/b1")),
        browse(add("pot")),
    ]
    work_in(hers, *history)

    identify(ada, *history)

    assert keys(*history) == keys(hers) * 2
    assert only_contents() == ("open", {"cup": 2, "pot": 1})
    assert Cart.objects.get().url == "https://shop.example/b1"


def test_an_emptied_cart_of_the_contact_is_filled_by_the_visitors(ada):
    work_in(add("cup", ada), remove("cup", ada), browse(add("pot")))

    identify(ada)

    assert only_contents() == ("open", {"pot": 1})


def test_a_list_counts_for_both_carts(ada):
    work_in(add("old", ada), browse(view({"cup": 1}, at=after(1))))
    work_in(add("new", ada, at=after(2)))

    identify(ada)

    assert only_contents() == ("open", {"cup": 1, "new": 1})


def test_two_browsers_identify_at_once(ada):
    work_in(browse(add("cup")), browse(add("pot"), "b2"))

    work_in(adoptions={"b1": ada.pk, "b2": ada.pk})

    assert only_contents() == ("open", {"cup": 1, "pot": 1})


def test_orders_follow_as_well(ada):
    work_in(browse(add("cup", cart_id="c1")), browse(order("o1", cart_id="c1")))

    identify(ada)

    assert Order.objects.get().contact == ada
    assert (Cart.objects.get().contact, contents()[0]) == (ada, "ordered")


def test_what_the_contact_has_ordered_meanwhile_is_not_left_in_the_visitors_cart(ada):
    history = [browse(add("cup"))]
    work_in(*history, order("o1", ada, at=after(5)))

    identify(ada, *history)

    assert only_contents() == ("ordered", {"cup": 1})
    assert Cart.objects.get().contact == ada
    assert keys(*history) == [Cart.objects.get().key]


def test_what_the_visitor_has_ordered_is_not_left_in_the_contacts_cart(ada):
    hers, later = add("cup", ada), browse(add("pot", at=after(9)))
    work_in(hers, browse(order("o1", at=after(5))), later)

    identify(ada, later)

    assert contents(hers.keys["cart"]) == ("ordered", {"cup": 1})
    assert contents(later.keys["cart"]) == ("open", {"pot": 1})
    assert hers.keys != later.keys


def test_events_before_and_after_an_order_are_about_two_carts(ada):
    history = [
        browse(add("cup")),
        browse(order("o1", at=after(1))),
        browse(add("pot", at=after(2))),
    ]
    for event in history:
        work_in(event)

    identify(ada, *history)

    first, none, second = keys(*history)
    assert none is None
    assert [contents(key)[0] for key in (first, second)] == ["ordered", "open"]


def test_an_event_about_somebody_elses_cart_is_about_none_of_it(ada):
    work_in(add("cup", ContactFactory(), cart_id="c1"))
    history = [browse(add("bait", cart_id="c1"))]
    work_in(*history)

    identify(ada, *history)

    assert keys(*history) != ["c1"]
    assert contents(history[0].keys["cart"])[1] == {"bait": 1}


def test_identifying_without_a_cart_changes_nothing(ada):
    identify(ada)

    assert not Cart.objects.exists()
