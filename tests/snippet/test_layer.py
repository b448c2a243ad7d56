"""The e-commerce events of a Google data layer, as Segment's specification names them."""

import json
from typing import Any

import pytest

from tests.snippet.site import await_names, settle, tag

ITEM = {
    "item_id": "A-1",
    "item_name": "Mug",
    "item_brand": "Kiln",
    "item_category": "Cups",
    "item_variant": "blue",
    "index": 3,
    "price": 24,
    "quantity": 2,
}
PRODUCT = {
    "product_id": "A-1",
    "name": "Mug",
    "brand": "Kiln",
    "category": "Cups",
    "variant": "blue",
    "position": 3,
    "price": 24,
    "quantity": 2,
}
PRICED = {"currency": "EUR", **PRODUCT}
LAYER = 'data-consent="implied" data-auto-page="false" data-layer="dataLayer"'
CART = {"currency": "EUR", "value": 48, "items": [ITEM]}
CART_TOLD = {"currency": "EUR", "value": 48, "products": [PRODUCT]}


@pytest.fixture
def layered(page, site) -> Any:
    site.pages["/layer"] = tag(LAYER)
    page.goto("/layer")
    return page


def push(page: Any, event: str, ecommerce: dict[str, Any]) -> None:
    page.evaluate(f"dataLayer.push({json.dumps({'event': event, 'ecommerce': ecommerce})})")


@pytest.mark.parametrize(
    ("event", "ecommerce", "told"),
    [
        ("view_item", CART, ("Product Viewed", PRICED)),
        ("select_item", CART, ("Product Clicked", PRICED)),
        ("add_to_cart", CART, ("Product Added", PRICED)),
        ("remove_from_cart", CART, ("Product Removed", PRICED)),
        ("add_to_wishlist", CART, ("Product Added to Wishlist", PRICED)),
        ("view_cart", CART, ("Cart Viewed", CART_TOLD)),
        ("begin_checkout", CART, ("Checkout Started", CART_TOLD)),
        (
            "view_item_list",
            {"item_list_id": "new", "item_list_name": "What is new", "items": [ITEM]},
            (
                "Product List Viewed",
                {"list_id": "new", "category": "What is new", "products": [PRODUCT]},
            ),
        ),
        (
            "add_payment_info",
            {**CART, "payment_type": "card"},
            ("Payment Info Entered", {**CART_TOLD, "payment_method": "card"}),
        ),
        (
            "purchase",
            {**CART, "transaction_id": "o-1", "tax": 7, "shipping": 5, "coupon": "SPRING"},
            (
                "Order Completed",
                {
                    **CART_TOLD,
                    "order_id": "o-1",
                    "total": 48,
                    "tax": 7,
                    "shipping": 5,
                    "coupon": "SPRING",
                },
            ),
        ),
        (
            "refund",
            {"transaction_id": "o-1", "value": 48},
            ("Order Refunded", {"order_id": "o-1", "value": 48, "total": 48, "products": []}),
        ),
    ],
)
def test_events_of_the_data_layer_become_those_of_segment(layered, site, event, ecommerce, told):
    push(layered, event, ecommerce)
    await_names(layered, site, [told[0]])

    assert site.told() == [told]


def test_an_event_about_several_products_becomes_one_for_each(layered, site):
    push(layered, "add_to_cart", {"currency": "EUR", "items": [{"item_id": "A"}, {"item_id": "B"}]})
    await_names(layered, site, ["Product Added", "Product Added"])

    assert [told["product_id"] for _, told in site.told()] == ["A", "B"]


def test_what_was_pushed_before_is_told_after_the_page_view(page, site):
    site.pages["/early"] = f"""<script>
        window.dataLayer = window.dataLayer || [];
        function gtag() {{ dataLayer.push(arguments); }}
        dataLayer.push({{event: "view_item", ecommerce: {json.dumps(CART)}}});
        gtag("event", "begin_checkout", {json.dumps(CART)});
    </script>""" + tag('data-consent="implied" data-layer="dataLayer"')
    page.goto("/early")
    await_names(page, site, ["page", "Product Viewed", "Checkout Started"])

    assert site.told()[1] == ("Checkout Started", CART_TOLD)


def test_the_layer_goes_on_working_whatever_is_pushed(layered, site):
    length = layered.evaluate("""() => {
        dataLayer.push({event: "gtm.js"}, null, "text", 7, {event: "view_item", ecommerce: null},
            {event: "view_item", ecommerce: {items: 7}}, ["event"], {ecommerce: null});
        return dataLayer.push({event: "other", ecommerce: {items: []}});
    }""")
    push(layered, "view_item", CART)
    await_names(layered, site, ["Product Viewed"])

    assert length == 9


def test_the_layer_is_left_alone_unless_that_is_asked_for(page, site):
    page.goto("/implied")
    page.evaluate("window.dataLayer = []")
    push(page, "view_item", CART)
    settle(page)

    assert site.names() == ["page"]


def test_the_layer_may_have_another_name(page, site):
    site.pages["/own"] = tag(LAYER.replace("dataLayer", "shopLayer"))
    page.goto("/own")
    page.evaluate(f"shopLayer.push({json.dumps({'event': 'view_item', 'ecommerce': CART})})")

    await_names(page, site, ["Product Viewed"])


def test_nothing_of_the_layer_is_told_without_consent(page, site):
    site.pages["/asked"] = tag('data-layer="dataLayer"')
    page.goto("/asked")
    push(page, "purchase", {**CART, "transaction_id": "o-1"})
    settle(page)

    assert site.received == []
