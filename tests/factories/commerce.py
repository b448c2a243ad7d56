"""Products, carts and orders as the projection leaves them."""

from decimal import Decimal

import factory
from factory.django import DjangoModelFactory

from apps.commerce.models import Cart, CartItem, Order, Product
from tests.factories.contacts import ContactFactory
from tests.instants import NOON


class ProductFactory(DjangoModelFactory):
    class Meta:
        model = Product

    key = factory.Sequence(lambda number: f"product-{number}")
    name = factory.Sequence(lambda number: f"Product {number}")
    price = Decimal("10.00")
    currency = "EUR"


class CartFactory(DjangoModelFactory):
    """An open cart that the shop named; put something in with CartItemFactory."""

    class Meta:
        model = Cart

    key = factory.Sequence(lambda number: f"cart-{number}")
    is_keyed_by_shop = True
    contact = factory.SubFactory(ContactFactory)
    currency = "EUR"
    created_at = NOON
    changed_at = NOON


class CartItemFactory(DjangoModelFactory):
    class Meta:
        model = CartItem

    cart = factory.SubFactory(CartFactory)
    product_key = factory.Sequence(lambda number: f"product-{number}")
    name = factory.Sequence(lambda number: f"Product {number}")
    price = Decimal("10.00")
    added_at = NOON


class OrderFactory(DjangoModelFactory):
    class Meta:
        model = Order

    key = factory.Sequence(lambda number: f"order-{number}")
    contact = factory.SubFactory(ContactFactory)
    is_trusted = True
    total = Decimal("10.00")
    currency = "EUR"
    ordered_at = NOON
