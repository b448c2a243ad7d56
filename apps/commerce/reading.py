"""Values as shops send them, made safe: what can't be used is None or empty, and nothing raises.

Every cart event of a shop comes through here, so each reader tries the usual kind of value first.
"""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec

from apps.commerce.models import Cart, CartItem, Order
from apps.contacts.blocked import NO_VALUES

# A mail shows a few lines of a cart; what goes beyond this is no cart that somebody fills.
MAX_LINES = 100
MAX_QUANTITY = 10_000
CENT = Decimal("0.01")
MAX_PRICE = Decimal(10) ** 10
MAX_TOTAL = Decimal(10) ** 12

_LONGEST_NUMBER = 40
# Beyond this a float isn't exact any more.
_LARGEST_ID = 2**63
_WEB = ("https://", "http://")


def _length(model: type[Cart | CartItem | Order], column: str) -> int:
    return int(getattr(model._meta.get_field(column), "max_length", 0))


CART_KEY_LENGTH = _length(Cart, "key")
CART_URL_LENGTH = _length(Cart, "url")
ORDER_KEY_LENGTH = _length(Order, "key")
_PRODUCT_KEY_LENGTH = _length(CartItem, "product_key")
_NAME_LENGTH = _length(CartItem, "name")
_URL_LENGTH = _length(CartItem, "url")


class Line(msgspec.Struct, frozen=True, gc=False):
    """So many of one product, as the shop told it."""

    product_key: str
    quantity: int = 1
    name: str = ""
    price: Decimal | None = None
    url: str = ""
    image_url: str = ""


def read_id(value: object, *, length: int) -> str | None:
    """Read an ID; what clients send where they have none is no ID, nor is one that is too long."""
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = _whole_number(value)
    else:
        return None
    return text if len(text) <= length and text.lower() not in NO_VALUES else None


def _whole_number(value: float) -> str:
    is_whole = -_LARGEST_ID < value < _LARGEST_ID and value == int(value)
    return str(int(value)) if is_whole else ""


def read_text(value: object, *, length: int) -> str:
    return value.strip()[:length] if isinstance(value, str) else ""


def read_url(value: object, *, length: int = _URL_LENGTH) -> str:
    """Read an address of the web; mails link to it, so nothing else passes."""
    if not isinstance(value, str):
        return ""
    text = value.strip()
    is_web = text.startswith(_WEB) or text[:8].lower().startswith(_WEB)
    return text if is_web and len(text) <= length else ""


def read_currency(value: object) -> str:
    """Read a code of three letters."""
    text = value.strip().upper() if isinstance(value, str) else ""
    return text if len(text) == 3 and text.isascii() and text.isalpha() else ""


def read_money(value: object, *, below: Decimal = MAX_PRICE) -> Decimal | None:
    """Read an amount, given as a number or as text, to the cent."""
    amount = _read_amount(value) if isinstance(value, float | int | str) else None
    return amount if amount is not None and amount < below else None


def read_quantity(value: object) -> int | None:
    """Read how many; not told is one, a part counts as one, and none or less is None."""
    if value is None:
        return 1
    if type(value) is int:
        return min(value, MAX_QUANTITY) if value > 0 else None
    number = _read_number(value)
    if number is None:
        return 1
    if number <= 0:
        return None
    return max(int(min(number, Decimal(MAX_QUANTITY))), 1)


def read_line(told: object) -> Line | None:
    """Read one product with its quantity; it needs an ID."""
    if not isinstance(told, dict):
        return None
    key = read_id(told.get("product_id"), length=_PRODUCT_KEY_LENGTH) or read_id(
        told.get("sku"), length=_PRODUCT_KEY_LENGTH
    )
    quantity = read_quantity(told.get("quantity"))
    if key is None or quantity is None:
        return None
    return Line(
        product_key=key,
        quantity=quantity,
        name=read_text(told.get("name"), length=_NAME_LENGTH),
        price=read_money(told.get("price")),
        url=read_url(told.get("url")),
        image_url=read_url(told.get("image_url")),
    )


def read_lines(told: object) -> list[Line] | None:
    """Read a whole list; None where there is none, or where nothing in it can be read."""
    if not isinstance(told, list):
        return None
    lines = [line for item in told if (line := read_line(item))]
    return lines if lines or not any(map(_is_something, told)) else None


def _is_something(item: Any) -> bool:
    """Whether an item that wasn't read says that something lies in the cart."""
    return not isinstance(item, dict) or read_quantity(item.get("quantity")) is not None


@lru_cache(maxsize=4096, typed=True)
def _read_amount(value: float | str) -> Decimal | None:
    number = _read_number(value)
    if number is None or not 0 <= number < MAX_TOTAL:
        return None
    return number.quantize(CENT, ROUND_HALF_UP)


def _read_number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        text = str(value).strip()
        number = Decimal(text) if 0 < len(text) <= _LONGEST_NUMBER else None
    except (InvalidOperation, ValueError):  # ValueError: an integer of thousands of digits.
        return None
    return number if number is not None and number.is_finite() else None
