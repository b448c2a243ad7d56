"""The catalog comes in."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from django.db import connection

from apps.commerce.models import Product
from apps.commerce.reading import read_currency, read_id, read_money, read_url
from apps.core.sheets import is_text

CHUNK = 1000

# Name each, and whether it has to be there. What a row doesn't have stays as it is.
_TEXTS = {"name": True, "sku": False, "description": False, "category": False, "brand": False}
_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "no", "n", "0"), False),
}
_OPTIONAL = ("sku", "description", "category", "brand", "url", "image_url")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_SAVE = f"""
WITH new AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS new (
        key text, name text, price numeric, currency text, is_available boolean,
        {", ".join(f"{name} text" for name in _OPTIONAL)}
    )
), saved AS (
    INSERT INTO commerce_product AS old (
        key, name, price, currency, is_available, created_at, updated_at, {", ".join(_OPTIONAL)}
    )
    SELECT key, name, price, currency, coalesce(is_available, true), %(now)s, %(now)s,
        {", ".join(f"coalesce({name}, '')" for name in _OPTIONAL)}
    FROM new ORDER BY key
    ON CONFLICT (key) DO NOTHING
    RETURNING key
), changed AS (
    UPDATE commerce_product AS old SET
        name = new.name, price = new.price, currency = new.currency,
        is_available = coalesce(new.is_available, old.is_available), updated_at = %(now)s,
        {", ".join(f"{name} = coalesce(new.{name}, old.{name})" for name in _OPTIONAL)}
    FROM new
    WHERE old.key = new.key AND (
        old.name, old.price, old.currency, old.is_available,
        {", ".join(f"old.{name}" for name in _OPTIONAL)}
    ) IS DISTINCT FROM (
        new.name, new.price, new.currency, coalesce(new.is_available, old.is_available),
        {", ".join(f"coalesce(new.{name}, old.{name})" for name in _OPTIONAL)}
    )
    RETURNING old.key
)
SELECT (SELECT count(*) FROM saved), (SELECT count(*) FROM changed)
"""  # noqa: S608 -- column names are ours


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row of the catalog that was left out, and why."""

    row: int
    product_id: str
    reason: str


@dataclass(slots=True)
class CatalogReport:
    """What became of the rows of a catalog."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def reasons(self) -> Counter[str]:
        return Counter(refusal.reason for refusal in self.refused)


class _BadRow(Exception):
    """The row can't be used; the text is the reason."""


def import_products(
    *, rows: Iterable[Mapping[Any, Any]], now: datetime, first_row: int = 1
) -> CatalogReport:
    """Make and change products by their `product_id`; a row that can't be used spoils no other.

    Each row needs product_id, name, price and currency. What else it has replaces what is known;
    what it doesn't have stays. Products that no row names stay, too.
    """
    report = CatalogReport()
    good = _read_all(rows, report, first_row)
    while chunk := list(islice(good, CHUNK)):
        created, updated = _save(chunk, now)
        report.created += created
        report.updated += updated
        report.unchanged += len(chunk) - created - updated
    return report


def _read_all(
    rows: Iterable[Mapping[Any, Any]], report: CatalogReport, first_row: int
) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for number, row in enumerate(rows, start=first_row):
        if not any(row.values()):
            continue
        try:
            product = _read(row, seen)
        except _BadRow as problem:
            shown = str(row.get("product_id") or "")[:100]
            report.refused.append(Refusal(number, shown, str(problem)))
            continue
        seen.add(product["key"])
        yield product


def _read(row: Mapping[Any, Any], seen: set[str]) -> dict[str, Any]:
    if None in row:
        raise _BadRow("too_many_cells")
    product: dict[str, Any] = {"key": _key(row, seen)}
    for name, is_needed in _TEXTS.items():
        product[name] = _text(row, name, is_needed=is_needed)
    product["price"] = read_money(row.get("price"))
    if product["price"] is None:
        raise _BadRow("bad_price")
    product["currency"] = read_currency(row.get("currency"))
    if not product["currency"]:
        raise _BadRow("bad_currency")
    for name in ("url", "image_url"):
        product[name] = _url(row, name)
    product["is_available"] = _availability(row)
    return product


def _key(row: Mapping[Any, Any], seen: set[str]) -> str:
    value = row.get("product_id")
    key = read_id(value, length=_length("key"))
    if key is None:
        raise _BadRow("missing_product_id" if value in (None, "") else "bad_product_id")
    if not is_text(key) or _CONTROL.search(key):
        raise _BadRow("bad_product_id")
    if key in seen:
        raise _BadRow("repeated_product_id")
    return key


def _length(column: str) -> int:
    return getattr(Product._meta.get_field(column), "max_length", None) or 0


def _text(row: Mapping[Any, Any], name: str, *, is_needed: bool) -> str | None:
    value = row.get(name)
    if value is None and not is_needed:
        return None
    text = "" if value is None else str(value).strip()
    if not text and is_needed:
        raise _BadRow(f"missing_{name}")
    if not is_text(text):
        raise _BadRow(f"bad_{name}")
    if 0 < _length(name) < len(text):
        raise _BadRow(f"{name}_too_long")
    return text


def _url(row: Mapping[Any, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None or value == "":
        return value
    text = read_url(value)
    if not text or not is_text(text):
        raise _BadRow(f"bad_{name}")
    return text


def _availability(row: Mapping[Any, Any]) -> bool | None:
    value = row.get("is_available")
    if value is None or value == "":
        return None
    try:
        return _WORDS[str(value).strip().lower()]
    except KeyError:
        raise _BadRow("bad_is_available") from None


def _save(products: list[dict[str, Any]], now: datetime) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, {"rows": msgspec.json.encode(products).decode(), "now": now})
        created, updated = cursor.fetchone()
        return created, updated
