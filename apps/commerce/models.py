"""What is sold, what lies in carts, and what was ordered."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q

from apps.core.models import Personal, TimeStamped


class Product(TimeStamped):
    """One thing in the shop."""

    key = models.CharField(
        "product ID", max_length=100, unique=True, help_text="As the shop sends it in events."
    )
    sku = models.CharField("SKU", max_length=100, blank=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    category = models.CharField(max_length=200, blank=True)
    brand = models.CharField(max_length=100, blank=True)
    url = models.URLField("page", max_length=1000, blank=True)
    image_url = models.URLField("picture", max_length=1000, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    is_available = models.BooleanField(
        default=True, help_text="Mails about carts leave out what is not available."
    )

    def __str__(self) -> str:
        return self.name


UNORDERED = ~Q(status="ordered")


class CartQuerySet(models.QuerySet["Cart"]):
    def open(self) -> Self:
        return self.filter(status=Cart.Status.OPEN)


class Cart(Personal):
    """What somebody has put aside to buy, as told by the shop's events."""

    personal_fields = ("anonymous_id", "url")

    class Status(models.TextChoices):
        OPEN = "open", "open"
        ORDERED = "ordered", "ordered"
        EMPTIED = "emptied", "emptied"

    # Whose
    key = models.CharField(
        "cart ID",
        max_length=200,
        unique=True,
        help_text="The shop's own cart ID, or one made here where the shop sends none.",
    )
    is_keyed_by_shop = models.BooleanField(default=False)
    contact = models.ForeignKey(
        "contacts.Contact", models.CASCADE, null=True, blank=True, related_name="carts"
    )
    anonymous_id = models.CharField(max_length=200, blank=True)
    is_trusted = models.BooleanField(
        default=False, help_text="Whether only the shop's server has filled it, no browser."
    )

    # How far
    status = models.CharField(max_length=16, choices=Status, default=Status.OPEN)
    currency = models.CharField(max_length=3, blank=True)
    url = models.CharField(
        "page", max_length=2000, blank=True, help_text="Where this cart is, if the shop tells."
    )
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField(help_text="When the shop last reported a change.")
    checkout_started_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text=(
            "When the shop last told the whole cart, or its order. Changes from before that time "
            "are contained in it, even if they are reported later."
        ),
    )

    objects = CartQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact"],
                condition=UNORDERED & Q(is_keyed_by_shop=False) & ~Q(contact=None),
                name="cart_one_without_key_per_contact",
            ),
            models.UniqueConstraint(
                fields=["anonymous_id"],
                condition=UNORDERED & Q(is_keyed_by_shop=False, contact=None),
                name="cart_one_without_key_per_browser",
            ),
        ]
        indexes = [
            models.Index(fields=["contact", "-changed_at"], name="cart_by_contact"),
            # Read when a visitor identifies and the cart follows.
            models.Index(
                fields=["anonymous_id", "-changed_at"],
                condition=Q(contact=None),
                name="cart_by_anonymous",
            ),
        ]

    def __str__(self) -> str:
        return self.key


class CartItem(models.Model):
    """One line of a cart, with what the shop said about the product at that time."""

    cart = models.ForeignKey(Cart, models.CASCADE, related_name="items")
    product_key = models.CharField(max_length=100)
    name = models.CharField(max_length=200, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    quantity = models.PositiveIntegerField(default=1)
    url = models.CharField(max_length=1000, blank=True)
    image_url = models.CharField(max_length=1000, blank=True)
    added_at = models.DateTimeField(help_text="When it was last put in or listed.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cart", "product_key"], name="cart_item_one_per_product"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=0), name="cart_item_quantity_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name or self.product_key}"


class Order(Personal):
    """A purchase, as told by the shop's events; the same order told twice is one."""

    personal_fields = ("anonymous_id",)

    class Status(models.TextChoices):
        COMPLETED = "completed", "completed"
        CANCELED = "canceled", "canceled"
        REFUNDED = "refunded", "refunded"

    # Which, and whose
    key = models.CharField("order ID", max_length=200, unique=True)
    contact = models.ForeignKey(
        "contacts.Contact", models.CASCADE, null=True, blank=True, related_name="orders"
    )
    anonymous_id = models.CharField(max_length=200, blank=True)
    cart = models.ForeignKey(Cart, models.SET_NULL, null=True, blank=True, related_name="orders")
    is_trusted = models.BooleanField(
        help_text="Whether the shop's server has reported it, not only a browser."
    )

    # What became of it
    status = models.CharField(max_length=16, choices=Status, default=Status.COMPLETED)
    total = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3, blank=True)
    items = models.JSONField(default=list, help_text="The lines, as the shop sent them.")
    ordered_at = models.DateTimeField()
    refunded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["contact", "-ordered_at"], name="order_by_contact"),
            # Read when a visitor identifies and the order follows.
            models.Index(
                fields=["anonymous_id", "-ordered_at"],
                condition=Q(contact=None),
                name="order_by_anonymous",
            ),
        ]

    def __str__(self) -> str:
        return self.key


def new_cart_key() -> str:
    """A key for the cart of a shop that sends none."""
    return f"cart-{uuid.uuid4()}"
