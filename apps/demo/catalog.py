"""The demo shop's own catalog, as any shop has one: read once from the shipped file."""

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from django.conf import settings
from django.urls import reverse
from django.utils.text import slugify

PRODUCTS_FILE = Path(__file__).parent / "data" / "products.csv"
CURRENCY = "EUR"


class NoSuchProduct(Exception):
    """The shop does not sell this."""


@dataclass(frozen=True)
class Product:
    """One thing on the shelf."""

    key: str
    sku: str
    slug: str
    name: str
    category: str
    brand: str
    price: Decimal
    description: str
    details: tuple[str, ...]
    picture: str

    @property
    def path(self) -> str:
        return reverse("demo:product", args=[self.slug])

    @property
    def drawing_path(self) -> str:
        return f"demo/products/{self.slug}.svg"

    @property
    def photo_url(self) -> str:
        """The picture as PNG under a lasting name, since mails that show it are read much later."""
        return f"/{settings.STATIC_URL.strip('/')}/demo/products/{self.slug}.png"

    @property
    def price_text(self) -> str:
        return format_money(self.price)


@dataclass(frozen=True)
class Category:
    """One shelf."""

    name: str
    slug: str


def format_money(amount: Decimal) -> str:
    return f"€{amount:,.2f}"


@cache
def all_products() -> tuple[Product, ...]:
    with PRODUCTS_FILE.open(encoding="utf-8", newline="") as file:
        return tuple(_read(row) for row in csv.DictReader(file))


def _read(row: dict[str, str]) -> Product:
    return Product(
        key=row["product_id"],
        sku=row["sku"],
        slug=row["slug"],
        name=row["name"],
        category=row["category"],
        brand=row["brand"],
        price=Decimal(row["price"]),
        description=row["description"],
        details=tuple(row["details"].split("|")),
        picture=row["picture"],
    )


@cache
def all_categories() -> tuple[Category, ...]:
    names = dict.fromkeys(product.category for product in all_products())
    return tuple(Category(name=name, slug=slugify(name)) for name in names)


def find_product(key: str) -> Product | None:
    return next((product for product in all_products() if product.key == key), None)


def get_product(slug: str) -> Product:
    """Return the product of this address, or raise NoSuchProduct."""
    for product in all_products():
        if product.slug == slug:
            return product
    raise NoSuchProduct(slug)


def products_in(category: str) -> list[Product]:
    return [product for product in all_products() if product.category == category]
