"""What each event does to a cart or an order."""

from decimal import Decimal

import pytest

from apps.commerce.models import Cart, CartItem, Order
from tests.commerce.shopping import (
    add,
    after,
    contents,
    happen,
    keys,
    listed,
    only_contents,
    order,
    remove,
    view,
    work_in,
)
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

CUP = {
    "name": "Morning cup",
    "price": 11.5,
    "currency": "eur",
    "url": "https://shop.example/cup",
    "image_url": "https://shop.example/cup.png",
}


@pytest.fixture
def ada():
    return ContactFactory()


# ---- Carts with the shop's key ----


def test_adding_makes_a_cart_with_its_line(ada):
    event = add("cup", ada, cart_id="c1", quantity=2, cart_url="https://shop.example/c1", **CUP)

    work_in(event)

    assert keys(event) == ["c1"]
    cart = Cart.objects.values().get()
    del cart["id"]
    assert cart == {
        "key": "c1", "is_keyed_by_shop": True, "contact_id": ada.pk, "anonymous_id": "",
        "is_trusted": True, "status": "open", "currency": "EUR", "url": "https://shop.example/c1",
        "created_at": NOON, "changed_at": NOON, "checkout_started_at": None, "settled_at": None,
    }  # fmt: skip
    line = CartItem.objects.values().get()
    del line["id"], line["cart_id"]
    assert line == {
        "product_key": "cup", "name": "Morning cup", "price": Decimal("11.50"), "quantity": 2,
        "url": CUP["url"], "image_url": CUP["image_url"], "added_at": NOON,
    }  # fmt: skip


def test_the_same_product_adds_up_and_looks_as_it_was_told_last(ada):
    work_in(add("cup", ada, cart_id="c1", **CUP))
    work_in(add("cup", ada, at=after(1), cart_id="c1", quantity=3, price="9.99"))

    assert contents() == ("open", {"cup": 4})
    line = CartItem.objects.get()
    assert (line.name, line.price, line.added_at) == ("Morning cup", Decimal("9.99"), after(1))


def test_removing_takes_away_and_the_last_one_empties(ada):
    work_in(add("cup", ada, cart_id="c1", quantity=3))
    work_in(remove("cup", ada, cart_id="c1"))
    assert contents() == ("open", {"cup": 2})

    work_in(remove("cup", ada, cart_id="c1", quantity=5))
    assert contents() == ("emptied", {})

    work_in(add("pot", ada, cart_id="c1"))
    assert contents() == ("open", {"pot": 1})


def test_removing_what_is_not_there_changes_nothing(ada):
    work_in(add("cup", ada, cart_id="c1"), remove("pot", ada, cart_id="c1"))

    assert contents() == ("open", {"cup": 1})


def test_a_list_is_what_lies_in_the_cart(ada):
    work_in(add("cup", ada, cart_id="c1", **CUP), add("pot", ada, cart_id="c1"))

    work_in(view({"cup": 5, "tea": 1}, ada, at=after(1), cart_id="c1"))

    assert contents() == ("open", {"cup": 5, "tea": 1})
    assert CartItem.objects.get(product_key="cup").name == "Morning cup"


def test_an_empty_list_empties_the_cart(ada):
    work_in(add("cup", ada, cart_id="c1"), view({}, ada, cart_id="c1"))

    assert contents() == ("emptied", {})


@pytest.mark.parametrize("products", [None, "all", 7, {}, [7, "x"], [{"name": "No ID"}]])
def test_a_list_that_cannot_be_read_changes_nothing(ada, products):
    work_in(add("cup", ada, cart_id="c1"))

    work_in(happen("Cart Viewed", ada, at=after(1), cart_id="c1", products=products))

    assert contents() == ("open", {"cup": 1})


def test_a_checkout_lists_and_is_noted(ada):
    work_in(add("cup", ada, cart_id="c1"))

    products = listed({"pot": 2})
    work_in(happen("Checkout Started", ada, at=after(2), cart_id="c1", products=products))

    assert contents() == ("open", {"pot": 2})
    assert Cart.objects.get().checkout_started_at == after(2)


def test_a_checkout_without_a_cart_is_about_the_one_that_changed_last(ada):
    work_in(add("cup", ada, cart_id="c1"), add("pot", ada, at=after(1), cart_id="c2"))
    checkout = happen("Checkout Started", ada, at=after(2))

    work_in(checkout)

    assert keys(checkout) == ["c2"]
    assert Cart.objects.get(key="c2").checkout_started_at == after(2)


def test_other_events_are_none_of_our_business(ada, django_assert_num_queries):
    page = happen("Product Added", ada, product_id="cup")
    page.type = "page"

    with django_assert_num_queries(2):  # The savepoint.
        work_in(happen("Product Viewed", ada, product_id="cup", cart_id="c1"), page)

    assert not Cart.objects.exists()


# ---- Carts without a key ----


def test_without_a_key_each_person_has_one_cart(ada):
    events = [
        add("cup", ada),
        add("pot", None, "b1"),
        add("tea", ada, "b2"),
        add("jug", None, "b3"),
    ]

    work_in(*events)

    hers, b1, hers_too, b3 = keys(*events)
    assert hers == hers_too
    assert [contents(key)[1] for key in (hers, b1, b3)] == [
        {"cup": 1, "tea": 1}, {"pot": 1}, {"jug": 1},
    ]  # fmt: skip


def test_without_a_key_an_emptied_cart_is_filled_again(ada):
    events = [add("cup", ada), remove("cup", ada), add("pot", ada)]

    for event in events:
        work_in(event)

    assert len(set(keys(*events))) == 1
    assert only_contents() == ("open", {"pot": 1})


def test_without_a_key_the_next_cart_begins_after_the_order(ada):
    first, second = add("cup", ada), add("pot", ada, at=after(2))

    for event in (first, order("o1", ada, at=after(1)), second):
        work_in(event)

    assert contents(first.keys["cart"]) == ("ordered", {"cup": 1})
    assert contents(second.keys["cart"]) == ("open", {"pot": 1})


@pytest.mark.parametrize("is_split", [True, False])
def test_without_a_key_what_came_before_the_order_is_no_new_cart(ada, is_split):
    late = add("cup", ada)
    later = add("pot", ada, at=after(0.5))
    events = [order("o1", ada, at=after(1)), late, later]

    for batch in [[event] for event in events] if is_split else [events]:
        work_in(*batch)

    assert only_contents() == ("ordered", {})
    assert keys(late) == keys(later) != [None]


def test_nobody_has_no_cart():
    events = [add("cup"), add("cup", is_trusted=False, cart_id="c1"), view({"cup": 1})]

    work_in(*events)

    assert keys(*events) == [None, None, None]
    assert not Cart.objects.exists()


# ---- Orders ----


def test_an_order_is_written_down_and_closes_its_cart(ada):
    products = [{"product_id": "cup", "price": "11.00", "quantity": 2, "engraving": "A"}]
    event = order("o1", ada, cart_id="c1", total="22.00", currency="EUR", products=products)

    work_in(add("cup", ada, cart_id="c1"), event)

    assert keys(event) == [None]
    assert contents() == ("ordered", {"cup": 1})
    written = Order.objects.values().get()
    del written["id"]
    assert written == {
        "key": "o1", "contact_id": ada.pk, "anonymous_id": "", "cart_id": Cart.objects.get().pk,
        "is_trusted": True, "status": "completed", "total": Decimal("22.00"), "currency": "EUR",
        "items": products, "ordered_at": NOON, "refunded_at": None,
    }  # fmt: skip


def test_an_order_told_twice_is_one(ada):
    work_in(order("o1", ada, at=after(1), total=22, products=[{"product_id": "cup"}]))
    work_in(order("o1", ada, at=after(3), total=25))

    told = Order.objects.get()
    assert (told.ordered_at, told.total, told.items) == (after(1), 25, [{"product_id": "cup"}])


def test_an_order_told_again_leaves_the_next_cart_alone(ada):
    work_in(order("o1", ada, at=after(1), cart_id="c1"))
    work_in(add("pot", ada, at=after(2), cart_id="c1"))

    work_in(order("o1", ada, at=after(3), cart_id="c1"))

    assert contents() == ("open", {"pot": 1})


def test_an_order_takes_the_cart_without_a_key_along(ada):
    events = [add("cup", ada), add("cup", ada, cart_id="c1"), add("pot", ada, cart_id="c2")]
    work_in(*events)

    work_in(order("o1", ada, at=after(1), cart_id="c1"))

    assert [contents(key)[0] for key in keys(*events)] == ["ordered", "ordered", "open"]


def test_an_order_that_names_no_cart_closes_all_of_its_person(ada):
    someone = ContactFactory()
    events = [add("cup", ada, cart_id="c1"), add("pot", ada, at=after(1), cart_id="c2")]
    work_in(*events, add("cup", someone, cart_id="c3"))

    work_in(order("o1", ada, at=after(2)))

    assert [contents(key)[0] for key in ("c1", "c2", "c3")] == ["ordered", "ordered", "open"]
    assert Order.objects.get().cart.key == "c2"


def test_an_order_without_an_id_closes_the_cart_all_the_same(ada):
    work_in(add("cup", ada, cart_id="c1"), happen("Order Completed", ada, cart_id="c1"))

    assert contents()[0] == "ordered"
    assert not Order.objects.exists()


def test_an_order_without_an_id_counts_for_what_comes_late(ada):
    events = [add("cup", ada), happen("Order Completed", ada, at=after(5)), add("pot", ada)]

    for event in events:
        work_in(event)

    assert only_contents() == ("ordered", {"cup": 1})
    assert keys(*events)[2] == keys(*events)[0]


@pytest.mark.parametrize(
    ("told", "total"),
    [
        ({"total": 5, "revenue": 4}, "5"),
        ({"revenue": "4.567"}, "4.57"),
        ({"value": 3}, "3"),
        (
            {"total": "much", "products": [{"product_id": "a", "price": 2.5, "quantity": 3}, 7]},
            "7.5",
        ),
        ({"total": -1}, "0"),
        ({"total": None, "products": "cup"}, "0"),
        ({"total": 10**13}, "0"),
    ],
)
def test_an_order_has_a_total_in_any_case(ada, told, total):
    work_in(happen("Order Completed", ada, order_id="o1", **told))

    assert Order.objects.get().total == Decimal(total)


def test_an_update_replaces_the_details(ada):
    work_in(order("o1", ada, total=11))

    work_in(happen("Order Updated", ada, at=after(1), order_id="o1", total=30, currency="EUR"))

    assert Order.objects.values_list("total", "currency", "ordered_at").get() == (30, "EUR", NOON)


@pytest.mark.parametrize("names", [["Order Refunded"], ["Order Cancelled", "Order Refunded"]])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_refund_stays_whatever_comes_later(ada, names, is_first):
    ends = [happen(name, ada, at=after(5), order_id="o1") for name in names]
    completed = [order("o1", ada, total=22)]

    for event in [*ends, *completed] if is_first else [*completed, *ends]:
        work_in(event)

    told = Order.objects.get()
    assert (told.status, told.total, told.ordered_at, told.refunded_at) == (
        "refunded", 22, NOON, after(5),
    )  # fmt: skip


def test_a_cancellation_is_noted(ada):
    work_in(order("o1", ada), happen("Order Cancelled", ada, order_id="o1"))

    told = Order.objects.get()
    assert (told.status, told.refunded_at) == ("canceled", None)


# ---- Out of order ----


def test_what_is_older_than_the_order_does_not_open_the_cart_again(ada):
    work_in(add("cup", ada, cart_id="c1"), order("o1", ada, at=after(5), cart_id="c1"))
    late = [
        view({"cup": 1}, ada, at=after(4), cart_id="c1"),
        add("pot", ada, at=after(3), cart_id="c1"),
        happen("Checkout Started", ada, at=after(4), cart_id="c1", products=listed({"cup": 1})),
    ]

    work_in(*late)

    assert keys(*late) == ["c1"] * 3
    assert contents() == ("ordered", {"cup": 1})
    assert Cart.objects.get().checkout_started_at is None


def test_what_is_older_than_an_order_that_came_first_makes_no_open_cart(ada):
    work_in(order("o1", ada, at=after(5), cart_id="c1"))
    work_in(add("cup", ada, cart_id="c1"), view({"cup": 1}, ada, at=after(4), cart_id="c1"))

    assert contents() == ("ordered", {})


def test_a_product_added_after_the_order_begins_the_cart_anew(ada):
    products = listed({"cup": 1})
    work_in(happen("Checkout Started", ada, cart_id="c1", products=products))
    work_in(order("o1", ada, at=after(5), cart_id="c1"))

    work_in(view({"cup": 1}, ada, at=after(6), cart_id="c1"))
    assert contents() == ("ordered", {"cup": 1})

    work_in(add("pot", ada, at=after(6), cart_id="c1"))
    assert contents() == ("open", {"pot": 1})
    assert Cart.objects.get().checkout_started_at is None


def test_a_late_order_takes_only_what_was_in_the_cart_by_then(ada):
    work_in(add("cup", ada, cart_id="c1"), add("pot", ada, at=after(9), cart_id="c1"))

    work_in(order("o1", ada, at=after(5), cart_id="c1"))

    assert contents() == ("open", {"pot": 1})


def test_a_list_contains_what_happened_before_it(ada):
    work_in(view({"cup": 2}, ada, at=after(5), cart_id="c1"))

    work_in(add("cup", ada, at=after(4), cart_id="c1"), remove("cup", ada, cart_id="c1"))
    assert contents() == ("open", {"cup": 2})

    work_in(add("cup", ada, at=after(5), cart_id="c1"))
    assert contents() == ("open", {"cup": 3})


def test_an_old_list_does_not_undo_a_newer_change(ada):
    work_in(add("cup", ada, at=after(5), cart_id="c1"))

    work_in(view({"pot": 1}, ada, at=after(4), cart_id="c1", cart_url="https://shop.example/old"))

    assert contents() == ("open", {"cup": 1})


def test_history_keeps_the_tables_up_to_date(ada):
    work_in(
        add("cup", ada, is_backfill=True, cart_id="c1"),
        order("o1", ada, is_backfill=True, cart_id="c1"),
    )

    assert contents()[0] == "ordered"
    assert Order.objects.count() == 1


# ---- Garbage ----


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [(None, 1), ("3", 3), (2.0, 2), (0.25, 1), (2.9, 2), (True, 1), ("some", 1), ([], 1),
     ("NaN", 1), (10**30, 10_000), ("1e400", 10_000), (0, None), (-4, None), ("-1", None)],
)  # fmt: skip
def test_quantities_are_what_a_cart_can_hold(ada, quantity, expected):
    work_in(add("cup", ada, cart_id="c1", quantity=quantity))

    assert contents()[1] == ({"cup": expected} if expected else {})


def test_a_line_stays_within_its_bounds(ada):
    work_in(*(add("cup", ada, cart_id="c1", quantity=9_999) for _ in range(3)))

    assert contents()[1] == {"cup": 10_000}


def test_a_cart_stays_within_its_bounds(ada):
    work_in(view({f"p{number}": 1 for number in range(1000)}, ada, cart_id="c1"))
    work_in(add("one more", ada, cart_id="c1"), add("p5", ada, cart_id="c1"))

    status, lines = contents()
    assert (status, len(lines), lines["p5"]) == ("open", 100, 2)


VALUES = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    "",
    " ",
    "null",
    "x" * 70_000,
    [],
    {},
    [[]],
    {"a": [None]},
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize(
    "name", ["Product Added", "Product Removed", "Cart Viewed", "Checkout Started",
             "Order Completed", "Order Updated", "Order Cancelled", "Order Refunded"],
)  # fmt: skip
def test_garbage_is_never_an_error(ada, name, value):
    fields = ["cart_id", "product_id", "sku", "order_id", "name", "price", "quantity", "currency",
              "url", "image_url", "cart_url", "products", "total", "revenue", "value"]  # fmt: skip
    whole = dict.fromkeys(fields, value)

    work_in(
        happen(name, ada, **whole),
        happen(
            name, ada, **whole, **{"products": [value, whole]} if "products" not in whole else {}
        ),
        happen(
            name, ada, **{**whole, "cart_id": "c1", "order_id": "o1", "products": [value, whole]}
        ),
        happen(name, None, "b1", is_trusted=False, **{**whole, "product_id": "cup"}),
    )

    assert Cart.objects.count() <= 3


def test_very_old_and_very_new_times_are_taken(ada):
    old = add("cup", ada, at=NOON.replace(year=1), cart_id="c1")
    new = add("cup", ada, at=NOON.replace(year=9999), cart_id="c1")

    work_in(old, new)

    assert contents()[1] == {"cup": 2}


# ---- Cost ----


@pytest.mark.parametrize("count", [3, 60])
def test_statements_do_not_grow_with_events(count, django_assert_num_queries):
    people = [ContactFactory() for _ in range(count)]
    before, events = [], []
    for number, person in enumerate(people):
        named = {"cart_id": f"c{number}"}
        before += [add("cup", person, **named), add("pot", person)]
        events += [
            view({"tea": 1}, person, at=after(1), **named),
            order(f"o{number}", person, at=after(2)),
            add("jug", person, at=after(3), **named),
            add("bowl", person, at=after(4)),
        ]
    work_in(*before)

    with django_assert_num_queries(13):  # Two of them are the savepoint's.
        work_in(*events)
