"""The catalog, to edit; carts and orders, to read."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html

from apps.commerce.models import Cart, CartItem, Order, Product
from apps.core.backoffice import ReadOnlyAdmin, ReadOnlyInline, StaffAdmin

CONTACT = "contact__id__exact"


@admin.register(Product)
class ProductAdmin(StaffAdmin):
    """One thing in the shop."""

    list_display = ["name", "key", "category", "price_in_words", "is_available"]
    list_filter = ["is_available"]
    sortable_by = ["key"]
    search_fields = ["name", "key", "sku", "category"]
    search_help_text = "Name, product ID, SKU or category"
    ordering = ["-id"]
    empty_text = "Add products by hand, or import the catalog: manage.py import_products FILE.csv"
    fieldsets = [
        ("What it is", {"fields": ["name", "description", "category", "brand"]}),
        ("Which one", {"fields": ["key", "sku"]}),
        ("What it costs", {"fields": ["price", "currency", "is_available"]}),
        ("Where it is shown", {"fields": ["url", "image_url", "picture"]}),
    ]
    readonly_fields = ["picture"]
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}

    @admin.display(description="price")
    def price_in_words(self, product: Product) -> str:
        return f"{product.price} {product.currency}"

    @admin.display(description="as mails show it")
    def picture(self, product: Product) -> str:
        if not product.image_url:
            return "–"
        return format_html(
            '<img src="{}" alt="{}" class="cp-product">', product.image_url, product.name
        )


class CartItemInline(ReadOnlyInline):
    """The lines of a cart."""

    model = CartItem
    fields = ["name", "product_key", "quantity", "price", "added_at"]
    readonly_fields = ["name", "product_key", "quantity", "price", "added_at"]


@admin.register(Cart)
class CartAdmin(ReadOnlyAdmin):
    """What somebody has put aside to buy."""

    list_display = ["key", "contact", "status", "currency", "changed_at", "checkout_started_at"]
    list_select_related = ["contact"]
    list_filter = ["status"]
    sortable_by = ()
    search_fields = ["key__exact"]
    search_help_text = "Cart ID, in full"
    inlines = [CartItemInline]
    empty_text = "Carts appear here with the first Product Added event of a source."
    fieldsets = [
        ("Whose", {"fields": ["contact", "anonymous_id", "key", "is_keyed_by_shop"]}),
        (
            "How far",
            {
                "fields": [
                    "status", "currency", "url", "created_at", "changed_at", "checkout_started_at",
                ]
            },
        ),
    ]  # fmt: skip

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return ["-changed_at", "-id"] if CONTACT in request.GET else ["-id"]


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """A purchase."""

    list_display = ["key", "contact", "status", "total", "currency", "ordered_at"]
    list_select_related = ["contact"]
    list_filter = ["status"]
    sortable_by = ()
    search_fields = ["key__exact"]
    search_help_text = "Order ID, in full"
    empty_text = "Orders appear here with the first Order Completed event of a source."
    fieldsets = [
        ("Whose", {"fields": ["contact", "anonymous_id", "key", "cart"]}),
        ("What", {"fields": ["status", "total", "currency", "items"]}),
        ("When", {"fields": ["ordered_at", "refunded_at"]}),
        ("How it is known", {"fields": ["is_trusted"]}),
    ]

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return ["-ordered_at", "-id"] if CONTACT in request.GET else ["-id"]
