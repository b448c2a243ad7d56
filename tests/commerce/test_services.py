"""The catalog comes in, and bad rows spoil no good ones."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.commerce import services
from apps.commerce.models import Product
from apps.commerce.services import CatalogReport, Refusal
from tests.factories.commerce import ProductFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

CUP = {"product_id": "cup", "name": "Cup", "price": "11.00", "currency": "EUR"}


def load(*rows, now=NOON):
    return services.import_products(rows=rows, now=now)


def test_a_row_makes_a_product():
    report = load(
        {
            **CUP, "sku": " C-1 ", "description": "Holds\ncoffee.", "category": "Cups",
            "brand": "Kiln", "url": "https://shop.example/cup", "is_available": "no",
            "image_url": "https://shop.example/cup.png", "stock": "7",
        }
    )  # fmt: skip

    assert report == CatalogReport(created=1)
    product = Product.objects.values().get()
    del product["id"]
    assert product == {
        "key": "cup", "name": "Cup", "price": Decimal("11.00"), "currency": "EUR", "sku": "C-1",
        "description": "Holds\ncoffee.", "category": "Cups", "brand": "Kiln",
        "url": "https://shop.example/cup", "image_url": "https://shop.example/cup.png",
        "is_available": False, "created_at": NOON, "updated_at": NOON,
    }  # fmt: skip


def test_a_row_changes_what_it_has_and_nothing_else():
    ProductFactory(key="cup", name="Old", sku="C-1", brand="Kiln", is_available=False)
    other = ProductFactory()

    report = load({**CUP, "brand": ""}, now=NOON + timedelta(days=1))

    assert report == CatalogReport(updated=1)
    cup = Product.objects.get(key="cup")
    assert (cup.name, cup.sku, cup.brand, cup.is_available) == ("Cup", "C-1", "", False)
    assert cup.updated_at == NOON + timedelta(days=1)
    assert Product.objects.filter(pk=other.pk, name=other.name).exists()


def test_the_same_catalog_again_changes_nothing():
    rows = [CUP, {**CUP, "product_id": "pot", "sku": "P"}]
    load(*rows)

    report = load(*rows, now=NOON + timedelta(days=1))

    assert report == CatalogReport(unchanged=2)
    assert set(Product.objects.values_list("updated_at", flat=True)) == {NOON}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"product_id": ""}, "missing_product_id"),
        ({"product_id": None}, "missing_product_id"),
        ({"product_id": "null"}, "bad_product_id"),
        ({"product_id": "x" * 101}, "bad_product_id"),
        ({"product_id": "a\x00"}, "bad_product_id"),
        ({"product_id": "a\x1bb"}, "bad_product_id"),
        ({"product_id": "\udcff"}, "bad_product_id"),
        ({"name": " "}, "missing_name"),
        ({"name": "x" * 201}, "name_too_long"),
        ({"name": "a\x00"}, "bad_name"),
        ({"name": "\udce9"}, "bad_name"),
        ({"price": ""}, "bad_price"),
        ({"price": "11,00"}, "bad_price"),
        ({"price": "free"}, "bad_price"),
        ({"price": "-1"}, "bad_price"),
        ({"price": "NaN"}, "bad_price"),
        ({"price": "1e10"}, "bad_price"),
        ({"price": "9999999999.999"}, "bad_price"),
        ({"price": True}, "bad_price"),
        ({"currency": "Euro"}, "bad_currency"),
        ({"currency": "€"}, "bad_currency"),
        ({"currency": None}, "bad_currency"),
        ({"sku": "x" * 101}, "sku_too_long"),
        ({"category": "x" * 201}, "category_too_long"),
        ({"brand": "x" * 101}, "brand_too_long"),
        ({"url": "/cup"}, "bad_url"),
        ({"url": "https://" + "x" * 1000}, "bad_url"),
        ({"image_url": "javascript:x"}, "bad_image_url"),
        ({"is_available": "perhaps"}, "bad_is_available"),
        ({None: ["surplus"]}, "too_many_cells"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(changes, reason):
    report = load({**CUP, "product_id": "good"}, {**CUP, **changes}, {**CUP, "product_id": "too"})

    shown = str(changes.get("product_id", "cup") or "")[:100]
    assert report == CatalogReport(created=2, refused=[Refusal(2, shown, reason)])
    assert report.reasons() == {reason: 1}
    assert Product.objects.count() == 2


def test_a_product_counts_once_per_catalog():
    report = load(CUP, {**CUP, "name": "Other"})

    assert report == CatalogReport(created=1, refused=[Refusal(2, "cup", "repeated_product_id")])
    assert Product.objects.get().name == "Cup"


def test_values_may_be_numbers_and_rows_may_be_empty():
    report = load({}, {**CUP, "product_id": 7, "price": 9.5, "currency": "usd"}, {"name": ""})

    assert report == CatalogReport(created=1)
    product = Product.objects.get()
    assert (product.key, product.price, product.currency) == ("7", Decimal("9.50"), "USD")


def test_many_rows_come_in_by_the_thousand(django_assert_num_queries):
    with django_assert_num_queries(3):
        report = load(*({**CUP, "product_id": f"p{number}"} for number in range(2500)))

    assert report.created == Product.objects.count() == 2500
