"""What a mail may show of a cart."""

from decimal import Decimal

import pytest

from apps.commerce.models import Cart
from apps.commerce.selectors import get_cart_context
from tests.factories.commerce import CartFactory, CartItemFactory, ProductFactory

pytestmark = pytest.mark.django_db


def test_a_cart_is_shown_with_its_items_and_total():
    cart = CartFactory(key="c1", url="https://shop.example/c1")
    CartItemFactory(
        cart=cart, product_key="cup", name="Cup", price=Decimal("11.50"), quantity=2,
        url="https://shop.example/cup", image_url="https://shop.example/cup.png",
    )  # fmt: skip
    CartItemFactory(cart=cart, product_key="pot", name="Pot", price=Decimal("68.00"))

    assert get_cart_context(["c1", "unknown"]) == {
        "c1": {
            "key": "c1",
            "items": [
                {
                    "product_id": "cup", "name": "Cup", "quantity": 2, "price": Decimal("11.50"),
                    "total": Decimal("23.00"), "url": "https://shop.example/cup",
                    "image_url": "https://shop.example/cup.png",
                },
                {
                    "product_id": "pot", "name": "Pot", "quantity": 1, "price": Decimal("68.00"),
                    "total": Decimal("68.00"), "url": "", "image_url": "",
                },
            ],
            "item_count": 3,
            "total": Decimal("91.00"),
            "currency": "EUR",
            "url": "https://shop.example/c1",
        }
    }  # fmt: skip


def test_the_catalog_fills_in_what_the_shop_did_not_say():
    ProductFactory(key="cup", name="Cup", url="https://shop.example/cup", price=Decimal(11))
    item = CartItemFactory(product_key="cup", name="", price=None, quantity=2, cart__currency="")

    (shown,) = get_cart_context([item.cart.key]).values()

    assert shown["items"][0]["name"] == "Cup"
    assert shown["items"][0]["url"] == "https://shop.example/cup"
    assert (shown["total"], shown["currency"]) == (Decimal(22), "EUR")


def test_an_amount_that_nobody_knows_is_empty():
    ProductFactory(key="cup", currency="USD")
    cart = CartFactory()
    CartItemFactory(cart=cart, product_key="cup", price=None)
    CartItemFactory(cart=cart)

    (shown,) = get_cart_context([cart.key]).values()

    assert [item["total"] for item in shown["items"]] == ["", Decimal("10.00")]
    assert shown["total"] == ""


def test_what_is_sold_out_is_left_out():
    ProductFactory(key="cup", is_available=False)
    cart = CartFactory()
    CartItemFactory(cart=cart, product_key="cup")
    CartItemFactory(cart=cart, product_key="pot", price=Decimal(5))

    (shown,) = get_cart_context([cart.key]).values()

    assert [item["product_id"] for item in shown["items"]] == ["pot"]
    assert (shown["total"], shown["item_count"]) == (Decimal(5), 1)


@pytest.mark.parametrize("status", [Cart.Status.ORDERED, Cart.Status.EMPTIED])
def test_nothing_of_a_closed_cart_is_for_sale(status):
    item = CartItemFactory(cart__status=status)

    (shown,) = get_cart_context([item.cart.key]).values()

    assert (shown["items"], shown["total"]) == ([], "")


@pytest.mark.parametrize("count", [1, 5])
def test_many_carts_cost_as_much_as_one(count, django_assert_num_queries):
    keys = [CartItemFactory().cart.key for _ in range(count)]

    with django_assert_num_queries(3):
        shown = get_cart_context(keys)

    assert set(shown) == set(keys)
