"""The demo shop's pages, and what its server tells."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.commerce.models import Order
from apps.consent import policy
from apps.consent import services as consents
from apps.contacts.models import Contact
from apps.core import services as core
from apps.core.pseudonyms import hide_browser
from apps.demo import catalog
from apps.demo.services import SOURCE_NAME
from apps.demo.visitor import Customer
from apps.events import services as events
from apps.events.models import Event, InboxEvent
from tests.instants import NOON

pytestmark = pytest.mark.django_db

ANONYMOUS_ID = "0b8f6f0a-5f0e-4c36-9a57-1c1f7f6f2f11"
FORM = {"email": "Ada@Example.com", "first_name": "Ada", "last_name": "Byron"}
CUSTOMER = Customer(**FORM, wants_mail=False)


@pytest.fixture
def shop() -> Client:
    events.create_source(name=SOURCE_NAME, now=NOON)
    return Client()


def accept_tracking(client: Client) -> None:
    client.cookies["cuepost_consent"] = "tracking:1"
    client.cookies["cuepost_anonymous_id"] = ANONYMOUS_ID


def reject_tracking(client: Client) -> None:
    client.cookies["cuepost_consent"] = "tracking:0"


def add(client: Client, slug: str, quantity: int = 1) -> None:
    client.post(reverse("demo:cart-add", args=[slug]), {"quantity": quantity})


def check_out(client: Client, **extra: str) -> None:
    client.post(reverse("demo:checkout"), FORM | extra)


def reports_on(client: Client, url: str) -> list[dict[str, Any]]:
    page = client.get(url).content.decode()
    found = re.search(r'<script id="reports" type="application/json">(.*?)</script>', page)
    assert found
    return json.loads(found[1])


def told() -> list[dict[str, Any]]:
    """What the shop's server has told, oldest first."""
    return [event.payload for event in InboxEvent.objects.filter(is_secret=True).order_by("id")]


def preferences_of(message: dict[str, Any]) -> dict[str, bool]:
    return message["context"]["consent"]["categoryPreferences"]


@pytest.mark.parametrize(
    "url",
    [
        "/demo/",
        "/demo/shelves/cups/",
        "/demo/products/heron-teapot/",
        "/demo/cart/",
        "/demo/privacy/",
    ],
)
def test_pages_open_without_a_session_and_without_inline_code(shop, url):
    answer = shop.get(url)

    page = answer.content.decode()
    inline = re.findall(r"<script(?![^>]*(?:src=|application/json))|<style| style=| on\w+=", page)
    assert answer.status_code == 200
    assert inline == []
    assert "sessionid" not in answer.cookies


@pytest.mark.parametrize(
    "url", ["/demo/shelves/none/", "/demo/products/none/", "/demo/cart/restore/forged/"]
)
def test_what_the_shop_does_not_have_is_not_found(shop, url):
    assert shop.get(url).status_code == 404


def test_every_product_has_its_pictures_and_words(shop, settings):
    products = catalog.all_products()
    folder = settings.BASE_DIR / "static" / "demo" / "products"

    missing = [
        f"{product.slug}.{kind}"
        for product in products
        for kind in ("svg", "png")
        if not (folder / f"{product.slug}.{kind}").is_file()
    ]
    assert len(products) == 12
    assert missing == []
    assert all(product.picture and product.description for product in products)


def test_product_page_reports_the_view_in_full(shop):
    assert reports_on(shop, "/demo/products/heron-teapot/") == [
        {
            "event": "Product Viewed",
            "properties": {
                "product_id": "KC-201",
                "sku": "POT-HER-01",
                "name": "Heron teapot",
                "price": 68.0,
                "quantity": 1,
                "currency": "EUR",
                "category": "Brewing",
                "brand": "Kiln & Clover",
                "url": "http://testserver/demo/products/heron-teapot/",
                "image_url": "http://testserver/static/demo/products/heron-teapot.png",
            },
            "options": {},
        }
    ]


def test_shelf_reports_its_products_in_order(shop):
    (report,) = reports_on(shop, "/demo/shelves/pantry/")

    listed = [(each["position"], each["product_id"]) for each in report["properties"]["products"]]
    assert report["event"] == "Product List Viewed"
    assert listed == [(1, "KC-301"), (2, "KC-302"), (3, "KC-303")]


def test_cart_reports_each_change_once(shop):
    add(shop, "heron-teapot", 3)
    first = reports_on(shop, "/demo/cart/")
    shop.post(reverse("demo:cart-change", args=["heron-teapot"]), {"quantity": 1})
    second = reports_on(shop, "/demo/cart/")
    shop.post(reverse("demo:cart-change", args=["heron-teapot"]), {"quantity": 0})
    third = reports_on(shop, "/demo/cart/")

    def summary(reports: list[dict[str, Any]]) -> list[tuple[str, int]]:
        return [(each["event"], each["properties"].get("quantity")) for each in reports]

    assert summary(first) == [("Product Added", 3), ("Cart Viewed", None)]
    assert summary(second) == [("Product Removed", 2), ("Cart Viewed", None)]
    assert summary(third) == [("Product Removed", 1)]
    assert len({each["properties"]["cart_id"] for each in [*first, *second, *third]}) == 1


def test_cart_viewed_carries_everything_in_the_cart(shop):
    add(shop, "heron-teapot", 2)
    add(shop, "meadow-tea")
    reports = reports_on(shop, "/demo/cart/")

    properties = reports[-1]["properties"]
    lines = [(each["product_id"], each["quantity"]) for each in properties["products"]]
    assert reports[-1]["event"] == "Cart Viewed"
    assert (properties["value"], properties["currency"]) == (148.0, "EUR")
    assert lines == [("KC-201", 2), ("KC-303", 1)]


@pytest.mark.parametrize("quantity", ["", "many", "-1", "10", "1e9"])
def test_nonsense_quantity_changes_nothing(shop, quantity):
    add(shop, "heron-teapot", 2)
    shop.get("/demo/cart/")
    shop.post(reverse("demo:cart-change", args=["heron-teapot"]), {"quantity": quantity})

    (report,) = reports_on(shop, "/demo/cart/")
    assert report["properties"]["products"][0]["quantity"] == 2


def test_cart_comes_back_in_another_browser(shop):
    add(shop, "heron-teapot", 2)
    viewed = reports_on(shop, "/demo/cart/")[-1]["properties"]
    elsewhere = Client()
    elsewhere.get(viewed["cart_url"])

    assert reports_on(elsewhere, "/demo/cart/")[-1]["properties"] == viewed


def test_restored_cart_does_not_replace_another(shop):
    add(shop, "heron-teapot")
    url = reports_on(shop, "/demo/cart/")[-1]["properties"]["cart_url"]
    elsewhere = Client()
    add(elsewhere, "tide-bowl")
    elsewhere.get(url)

    products = reports_on(elsewhere, "/demo/cart/")[-1]["properties"]["products"]
    assert [each["product_id"] for each in products] == ["KC-401"]


def test_checkout_with_consent_tells_who_it_is_and_what_they_would_buy(shop):
    accept_tracking(shop)
    add(shop, "heron-teapot", 2)
    check_out(shop, wants_mail="on")

    identify, started = told()
    assert (identify["type"], started["event"]) == ("identify", "Checkout Started")
    assert identify["traits"] == {
        "email": "Ada@Example.com",
        "firstName": "Ada",
        "lastName": "Byron",
    }
    assert identify["userId"] == started["userId"]
    assert identify["anonymousId"] == started["anonymousId"] == hide_browser(ANONYMOUS_ID)
    assert identify["context"]["consent"] == {
        "categoryPreferences": {"tracking": True, "email_marketing": True},
        "method": "form",
        "wordingVersion": "checkout-1",
    }
    assert preferences_of(started) == {"tracking": True}
    assert started["properties"]["products"][0]["quantity"] == 2


@pytest.mark.parametrize(("answer", "told_of_opens"), [("1", True), ("0", None)])
def test_checkout_tells_whether_opened_mails_may_be_noted(shop, answer, told_of_opens):
    accept_tracking(shop)
    shop.cookies["cuepost_consent"] = f"tracking:1.open_tracking:{answer}"
    add(shop, "heron-teapot")
    check_out(shop, wants_mail="on")

    assert preferences_of(told()[0]).get("open_tracking") is told_of_opens


def test_checkout_seen_by_browser_and_server_is_one_event(shop):
    accept_tracking(shop)
    add(shop, "heron-teapot")
    shop.get("/demo/cart/")
    (report,) = reports_on(shop, "/demo/checkout/")
    check_out(shop)

    started = told()[-1]
    assert report["event"] == started["event"] == "Checkout Started"
    assert report["options"] == {"messageId": started["messageId"]}


def test_empty_box_says_nothing_about_mail(shop):
    accept_tracking(shop)
    add(shop, "heron-teapot")
    check_out(shop)

    assert [preferences_of(message) for message in told()] == [{"tracking": True}] * 2


@pytest.mark.parametrize("cookie", ["tracking:0", "", "tracking:yes", "email_marketing:1"])
def test_without_consent_the_checkout_tells_nothing(shop, cookie):
    shop.cookies["cuepost_consent"] = cookie
    shop.cookies["cuepost_anonymous_id"] = ANONYMOUS_ID
    add(shop, "heron-teapot")
    check_out(shop)

    assert told() == []


def test_without_consent_the_box_alone_is_told(shop):
    reject_tracking(shop)
    add(shop, "heron-teapot")
    check_out(shop, wants_mail="on")

    (identify,) = told()
    assert identify["type"] == "identify"
    assert preferences_of(identify) == {"tracking": False, "email_marketing": True}
    assert "anonymousId" not in identify


def test_order_is_told_and_empties_the_cart(shop):
    accept_tracking(shop)
    add(shop, "heron-teapot", 2)
    cart_id = reports_on(shop, "/demo/cart/")[-1]["properties"]["cart_id"]
    check_out(shop)
    shop.post(reverse("demo:checkout-review"))
    thanks = shop.get(reverse("demo:order")).content.decode()

    order = told()[-1]
    properties = order["properties"]
    assert order["event"] == "Order Completed"
    assert order["messageId"] == f"order-{properties['order_id']}"
    assert (properties["total"], properties["revenue"], properties["currency"]) == (136, 136, "EUR")
    assert properties["cart_id"] == cart_id
    assert properties["order_id"] in thanks
    assert "Nothing in here yet." in shop.get("/demo/cart/").content.decode()


def test_order_without_consent_is_told_without_a_name(shop):
    reject_tracking(shop)
    add(shop, "heron-teapot")
    check_out(shop)
    shop.post(reverse("demo:checkout-review"))

    (order,) = told()
    assert order["event"] == "Order Completed"
    assert preferences_of(order) == {"tracking": False}
    assert "anonymousId" not in order
    assert "example.com" not in json.dumps(order).lower()


def test_placing_an_order_twice_is_one_order(shop):
    accept_tracking(shop)
    add(shop, "heron-teapot")
    check_out(shop)
    shop.post(reverse("demo:checkout-review"))
    shop.post(reverse("demo:checkout-review"))

    assert [each.get("event") for each in told()] == [None, "Checkout Started", "Order Completed"]


def test_same_address_keeps_its_customer_number(shop):
    for email in ("ada@example.com", "ADA@example.com", "eve@example.com"):
        accept_tracking(shop)
        add(shop, "heron-teapot")
        check_out(shop, email=email)

    numbers = [each["userId"] for each in told() if each["type"] == "identify"]
    assert numbers[0] == numbers[1] != numbers[2]


def buy(client: Client, slug: str = "heron-teapot", **extra: str) -> None:
    add(client, slug)
    check_out(client, **extra)
    client.post(reverse("demo:checkout-review"))
    core.tick(now=timezone.now())


def test_order_of_a_stranger_who_refuses_stores_nothing_personal(shop):
    reject_tracking(shop)
    buy(shop)

    (event,) = Event.objects.all()
    stored = [event.properties, event.context, *Order.objects.values(), *kept_in(shop)]
    assert (event.contact, event.anonymous_id, event.context) == (None, "", {})
    assert FORM["email"].lower() not in str(stored).lower()
    assert FORM["last_name"] not in str(stored)
    assert CUSTOMER.number not in str(stored)
    assert not Contact.objects.exists()
    assert not InboxEvent.objects.exists()


def kept_in(client: Client) -> list[tuple[str, Any]]:
    return sorted(client.session.items())


def test_order_of_a_customer_who_refuses_by_now_is_theirs(shop):
    accept_tracking(shop)
    add(shop, "tide-bowl")
    check_out(shop)
    core.tick(now=timezone.now())
    elsewhere = Client()
    reject_tracking(elsewhere)
    buy(elsewhere)

    order = Event.objects.get(name="Order Completed")
    assert (order.contact, order.anonymous_id) == (Contact.objects.get(), "")


def test_session_forgets_the_customer_with_the_order(shop):
    accept_tracking(shop)
    buy(shop)
    thanks = shop.get(reverse("demo:order")).content.decode()

    assert [name for name, _ in kept_in(shop)] == ["demo_order"]
    assert "ada" not in str(kept_in(shop)).lower()
    assert "Thank you." in thanks


def test_ticked_box_counts_again_after_an_unsubscribe(shop):
    buy(shop, wants_mail="on")
    contact = Contact.objects.get()
    consents.unsubscribe(contact=contact, method="one_click", source="mail", now=timezone.now())

    buy(shop, wants_mail="on")

    decision = policy.allows(contact, "email_marketing", timezone.now())
    assert (decision.is_allowed, decision.values["method"]) == (True, "form")
    assert not consents.is_suppressed("ada@example.com")


@pytest.mark.parametrize("wrong", [{"email": "nobody"}, {"email": ""}, {"first_name": ""}])
def test_incomplete_checkout_tells_nothing_and_says_why(shop, wrong):
    accept_tracking(shop)
    add(shop, "heron-teapot")
    answer = shop.post(reverse("demo:checkout"), FORM | wrong)

    assert answer.status_code == 200
    page = answer.content.decode()
    (name,) = wrong
    assert 'role="alert"' in page
    assert f'href="#id_{name}"' in page
    assert f'id="id_{name}_error"' in page
    field = re.search(rf'<input[^>]*id="id_{name}"', page)
    assert field
    assert 'aria-invalid="true"' in field[0]
    assert re.search(rf'aria-describedby="[^"]*id_{name}_error"', field[0])
    assert told() == []


@pytest.mark.parametrize("name", ["demo:checkout", "demo:checkout-review", "demo:order"])
def test_pages_of_an_order_need_one(shop, name):
    assert shop.get(reverse(name)).status_code == 302


def test_shop_works_before_it_has_keys():
    client = Client()
    accept_tracking(client)
    add(client, "heron-teapot")
    check_out(client)

    assert "cuepost.js" not in client.get("/demo/").content.decode()
    assert told() == []
