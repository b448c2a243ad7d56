"""Guessing keys gets nobody into the carts and orders of somebody else."""

import pytest

from apps.commerce.models import Cart, Order
from tests.commerce.shopping import (
    add,
    after,
    contents,
    happen,
    keys,
    listed,
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


@pytest.fixture
def eve():
    return ContactFactory()


def attempts(*who, **rest):
    """Everything that might change a cart of somebody else."""
    return [
        add("bait", *who, cart_id="c1", is_trusted=False, **rest),
        remove("cup", *who, cart_id="c1", is_trusted=False, **rest),
        view({"bait": 9}, *who, cart_id="c1", is_trusted=False, **rest),
        happen(
            "Checkout Started", *who, cart_id="c1", products=listed({"bait": 9}),
            cart_url="https://eve.example", is_trusted=False, **rest,
        ),
        order("o2", *who, cart_id="c1", is_trusted=False, **rest),
    ]  # fmt: skip


def test_a_browser_fills_its_own_cart():
    events = [add("cup", None, "b1", cart_id="c1", is_trusted=False)]
    events.append(remove("cup", None, "b1", cart_id="c1", is_trusted=False))

    for event in events:
        work_in(event)

    assert keys(*events) == ["c1", "c1"]
    assert contents() == ("emptied", {})
    assert not Cart.objects.get().is_trusted


@pytest.mark.parametrize("is_known", [True, False])
def test_a_browser_cannot_change_a_contacts_cart(ada, eve, is_known):
    work_in(add("cup", ada, "b1", cart_id="c1"))
    events = attempts(eve if is_known else None, "b2", at=after(1))

    work_in(*events)

    cart = Cart.objects.get(key="c1")
    assert (contents(), cart.contact, cart.url) == (("open", {"cup": 1}), ada, "")
    assert "c1" not in keys(*events)
    assert keys(events[0]) != [None]


def test_a_browser_that_names_somebody_elses_cart_gets_its_own(ada, eve):
    work_in(add("cup", ada, "b1", cart_id="c1"))
    event = add("pot", eve, "b2", cart_id="c1", is_trusted=False)

    work_in(event)

    theirs = Cart.objects.get(key=event.keys["cart"])
    assert (theirs.contact, theirs.is_keyed_by_shop) == (eve, False)
    assert contents(theirs.key) == ("open", {"pot": 1})


def test_a_browser_cannot_change_another_browsers_cart():
    work_in(add("cup", None, "b1", cart_id="c1", is_trusted=False))

    work_in(*attempts(None, "b2", at=after(1)), *attempts(at=after(1)))

    assert contents() == ("open", {"cup": 1})


def test_the_browser_that_began_a_cart_loses_it_to_the_contact(ada):
    """It isn't linked to the contact, so it may be anybody's."""
    work_in(add("cup", None, "b1", cart_id="c1", is_trusted=False))
    work_in(happen("Cart Viewed", ada, cart_id="c1"))
    assert (Cart.objects.get().contact, contents()) == (ada, ("emptied", {}))

    work_in(view({"pot": 1}, ada, at=after(1), cart_id="c1"))
    work_in(*attempts(None, "b1", at=after(2)))

    assert contents() == ("open", {"pot": 1})


def test_a_cart_that_only_a_server_has_filled_goes_to_the_contact_as_it_is(ada):
    work_in(add("cup", None, "session-1", cart_id="c1"))

    work_in(add("pot", ada, cart_id="c1"))

    assert (Cart.objects.get().contact, contents()[1]) == (ada, {"cup": 1, "pot": 1})


def test_a_server_may_go_on_with_a_contacts_cart_without_naming_them(ada):
    work_in(add("cup", ada, cart_id="c1"))

    work_in(add("cup", None, "b7", cart_id="c1"), add("cup", cart_id="c1"))

    cart = Cart.objects.get()
    assert (cart.contact, cart.anonymous_id, contents()[1]) == (ada, "", {"cup": 3})


def test_two_contacts_never_share_a_cart_whoever_says_so(ada, eve):
    first, second = add("cup", ada, cart_id="7"), add("pot", eve, cart_id="7")

    work_in(first, second)

    assert first.keys["cart"] == "7" != second.keys["cart"]
    assert contents("7") == ("open", {"cup": 1})
    assert contents(second.keys["cart"]) == ("open", {"pot": 1})


def test_an_order_of_another_contact_closes_the_cart_that_a_server_names(ada, eve):
    """Who corrects a mistyped address at the checkout must not be reminded at the old one."""
    work_in(add("cup", ada, cart_id="c1"))

    work_in(order("o1", eve, at=after(1), cart_id="c1"))

    assert contents()[0] == "ordered"
    assert Cart.objects.get().contact == ada


def test_a_browsers_order_closes_its_own_carts_only(ada, eve):
    work_in(add("cup", ada, "b1", cart_id="c1"), add("pot", eve, "b2", cart_id="c2"))

    work_in(order("o1", eve, "b2", at=after(1), cart_id="c1", is_trusted=False))
    assert contents("c1")[0] == "open"

    work_in(order("o3", eve, "b2", at=after(1), cart_id="c2", is_trusted=False))
    assert contents("c2")[0] == "ordered"


def test_a_browser_may_tell_of_a_new_order_but_never_change_one(ada, eve):
    work_in(order("o1", ada, total=22), add("cup", eve, "b2", cart_id="c2"))
    before = Order.objects.values().get()

    for name in ("Order Completed", "Order Updated", "Order Cancelled", "Order Refunded"):
        work_in(happen(name, eve, "b2", at=after(1), order_id="o1", total=1, is_trusted=False))
    assert Order.objects.values().get() == before
    assert contents("c2")[0] == "open"

    work_in(order("o2", eve, "b2", is_trusted=False))
    assert Order.objects.filter(contact=eve, is_trusted=False).values_list("key").get() == ("o2",)


def test_a_server_takes_over_an_order_that_a_browser_told(ada, eve):
    work_in(add("cup", ada, cart_id="c1"))
    work_in(order("o1", eve, "b2", at=after(-9), total=1, is_trusted=False))

    work_in(order("o1", ada, at=after(5), cart_id="c1", total=22))

    told = Order.objects.get()
    assert (told.contact, told.is_trusted, told.ordered_at, told.total) == (ada, True, after(5), 22)
    assert contents()[0] == "ordered"


def test_our_own_keys_cannot_be_named(ada, eve):
    first = add("cup", ada)
    work_in(first)
    own = {"cart_id": first.keys["cart"]}

    work_in(add("bait", eve, "b2", is_trusted=False, **own), order("o1", eve, **own))
    assert contents(own["cart_id"]) == ("open", {"cup": 1})

    work_in(order("o2", ada, at=after(1)), add("pot", ada, at=after(2), **own))
    assert contents(own["cart_id"]) == ("ordered", {"cup": 1})


@pytest.mark.parametrize("key", ["undefined", "null", "0", "", None, "[object Object]"])
def test_what_only_looks_like_a_key_is_none(ada, eve, key):
    work_in(add("cup", ada, cart_id=key), add("pot", eve, cart_id=key))

    assert list(Cart.objects.order_by("id").values_list("contact", "is_keyed_by_shop")) == [
        (ada.pk, False), (eve.pk, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//eve.example",
        "ftp://a",
        7,
        f"https://{'x' * 3000}",
    ],
)
def test_only_addresses_of_the_web_come_into_mails(ada, url):
    work_in(add("cup", ada, cart_id="c1", url=url, image_url=url, cart_url=url))

    item = Cart.objects.get().items.get()
    assert (Cart.objects.get().url, item.url, item.image_url) == ("", "", "")


def test_a_server_may_tell_of_a_cart_before_it_knows_whose_it_is(ada):
    work_in(add("cup", cart_id="c1"))
    work_in(add("bait", None, "b2", cart_id="c1", is_trusted=False))
    assert (Cart.objects.get(key="c1").contact, contents()) == (None, ("open", {"cup": 1}))

    work_in(add("pot", ada, "b1", cart_id="c1"))

    cart = Cart.objects.get(key="c1")
    assert (cart.contact, cart.anonymous_id) == (ada, "b1")
    assert contents() == ("open", {"cup": 1, "pot": 1})


def test_an_order_of_nobody_known_closes_the_cart_it_names():
    work_in(add("cup", cart_id="c1"))

    work_in(order("o1", cart_id="c1"), order("o2", cart_id="c2", is_trusted=False))

    assert contents() == ("ordered", {"cup": 1})
    assert list(Order.objects.order_by("key").values_list("key", "cart__key")) == [
        ("o1", "c1"), ("o2", None),
    ]  # fmt: skip
