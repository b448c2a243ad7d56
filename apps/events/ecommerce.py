"""The tracking plan that comes with the product: the e-commerce events of Segment's specification.

What the specification calls a string may be a number where it is an ID: shops send both.
"""

from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
ID: Schema = {"type": ["string", "integer"]}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
AMOUNT: Schema = {"type": "number", "minimum": 0}

PRODUCT: dict[str, Schema] = {
    "product_id": ID,
    "sku": ID,
    "category": TEXT,
    "name": TEXT,
    "brand": TEXT,
    "variant": TEXT,
    "price": AMOUNT,
    "quantity": NUMBER,
    "coupon": TEXT,
    "position": WHOLE,
    "url": TEXT,
    "image_url": TEXT,
}
PRODUCTS: Schema = {"type": "array", "items": {"type": "object", "properties": PRODUCT}}
ONE_PRODUCT = {**PRODUCT, "currency": TEXT, "value": NUMBER}
LIST = {"list_id": ID, "category": TEXT, "products": PRODUCTS}
FILTERED = {
    **LIST,
    "filters": {"type": "array"},
    "sorts": {"type": "array"},
}
PROMOTION = {"promotion_id": ID, "creative": TEXT, "name": TEXT, "position": ID}
CART = {"cart_id": ID, "products": PRODUCTS, "value": NUMBER, "currency": TEXT}
STEP = {"checkout_id": ID, "step": WHOLE, "shipping_method": TEXT, "payment_method": TEXT}
COUPON = {"order_id": ID, "cart_id": ID, "coupon_id": ID, "coupon_name": TEXT, "discount": NUMBER}
ORDER = {
    "checkout_id": ID,
    "order_id": ID,
    "cart_id": ID,
    "affiliation": TEXT,
    "subtotal": NUMBER,
    "total": NUMBER,
    "revenue": NUMBER,
    "value": NUMBER,
    "shipping": NUMBER,
    "tax": NUMBER,
    "discount": NUMBER,
    "coupon": TEXT,
    "currency": TEXT,
    "products": PRODUCTS,
}
SHARED = {
    "share_via": TEXT,
    "share_message": TEXT,
    "recipient": TEXT,
}
REVIEW = {"product_id": ID, "review_id": ID, "review_body": TEXT, "rating": ID}
WISHLIST = {"wishlist_id": ID, "wishlist_name": TEXT, **ONE_PRODUCT}


@dataclass(frozen=True)
class BuiltIn:
    """One event of the specification."""

    name: str
    description: str
    properties: dict[str, Schema]
    required: tuple[str, ...] = ()
    natural_key: str = ""

    @property
    def schema(self) -> Schema:
        schema: Schema = {"type": "object", "properties": self.properties}
        return {**schema, "required": list(self.required)} if self.required else schema


BUILT_IN = (
    BuiltIn("Products Searched", "Somebody searched the shop.", {"query": TEXT}),
    BuiltIn("Product List Viewed", "A list or category of products was looked at.", LIST),
    BuiltIn("Product List Filtered", "A list of products was filtered or sorted.", FILTERED),
    BuiltIn("Promotion Viewed", "A promotion was shown.", PROMOTION),
    BuiltIn("Promotion Clicked", "A promotion was followed.", PROMOTION),
    BuiltIn("Product Clicked", "A product was chosen from a list.", ONE_PRODUCT),
    BuiltIn("Product Viewed", "A product’s page was looked at.", ONE_PRODUCT),
    BuiltIn("Product Added", "Something went into the cart.", {"cart_id": ID, **ONE_PRODUCT}),
    BuiltIn("Product Removed", "Something left the cart.", {"cart_id": ID, **ONE_PRODUCT}),
    BuiltIn("Cart Viewed", "The cart was looked at; it lists all that is in it.", CART),
    BuiltIn(
        "Checkout Started",
        "The checkout began. With a checkout_id it counts once.",
        ORDER,
        natural_key="checkout_id",
    ),
    BuiltIn("Checkout Step Viewed", "A step of the checkout was looked at.", STEP),
    BuiltIn("Checkout Step Completed", "A step of the checkout was done.", STEP),
    BuiltIn("Payment Info Entered", "How to pay was told.", {**STEP, "order_id": ID}),
    BuiltIn("Order Updated", "An order was changed.", ORDER, ("order_id",)),
    BuiltIn(
        "Order Completed",
        "Somebody bought. Told by the browser and by the server it counts once.",
        ORDER,
        ("order_id",),
        "order_id",
    ),
    BuiltIn("Order Refunded", "Money went back, for all or a part.", ORDER, ("order_id",)),
    BuiltIn("Order Cancelled", "An order was called off.", ORDER, ("order_id",), "order_id"),
    BuiltIn("Coupon Entered", "A coupon was typed in.", COUPON),
    BuiltIn("Coupon Applied", "A coupon was taken.", COUPON),
    BuiltIn("Coupon Denied", "A coupon was not taken.", {**COUPON, "reason": TEXT}),
    BuiltIn("Coupon Removed", "A coupon was taken out again.", COUPON),
    BuiltIn("Product Added to Wishlist", "Something went onto a wishlist.", WISHLIST),
    BuiltIn("Product Removed from Wishlist", "Something left a wishlist.", WISHLIST),
    BuiltIn(
        "Wishlist Product Added to Cart",
        "Something went from a wishlist into the cart.",
        {**WISHLIST, "cart_id": ID},
    ),
    BuiltIn("Product Shared", "A product was shared.", {**ONE_PRODUCT, **SHARED}),
    BuiltIn("Cart Shared", "A cart was shared.", {"cart_id": ID, "products": PRODUCTS, **SHARED}),
    BuiltIn("Product Reviewed", "A product was reviewed.", REVIEW),
)
