"""Pseudonyms: what stands in our tables for a browser's ID or an IP address.

Each is a keyed hash, short and with a prefix, so that events of one browser stay together though
nobody can tell from our tables which browser it was.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection

BROWSER = "b_"
IP = "ip_"

BYTES = 16
CHARACTERS = 22
ROWS_AT_ONCE = 10_000

_BROWSER = re.compile(rf"{BROWSER}[\w-]{{{CHARACTERS}}}", re.ASCII)
_BLOCK = 64

# The HMAC of RFC 2104 by PostgreSQL's own means; the keys come as parameters.
_HIDE = f"""
UPDATE {{table}} SET {{column}} = '{BROWSER}' || rtrim(translate(encode(substring(
    sha256(%(outer)s || sha256(%(inner)s || convert_to('{BROWSER}' || {{column}}, 'UTF8')))
    FROM 1 FOR {BYTES}), 'base64'), '+/', '-_'), '=')
WHERE id BETWEEN %(first)s AND %(last)s AND {{where}}
    AND {{column}} <> '' AND {{column}} !~ '^{BROWSER}[A-Za-z0-9_-]{{{{{CHARACTERS}}}}}$'
"""  # noqa: S608 -- names are ours


def hide_browser(anonymous_id: str) -> str:
    """Return what stands for a browser's ID, as its own cookie has it."""
    return _pseudonym(BROWSER, anonymous_id)


def hide_ip(address: str) -> str:
    """Return what stands for an IP address."""
    return _pseudonym(IP, address)


def as_stored(anonymous_id: str) -> str:
    """The same for somebody who may have either, such as staff: what stands for an ID stays."""
    return anonymous_id if is_hidden(anonymous_id) else hide_browser(anonymous_id)


def is_hidden(anonymous_id: str) -> bool:
    return bool(_BROWSER.fullmatch(anonymous_id))


def hide_column(*, table: str, column: str, where: str = "true") -> int:
    """Hide the browsers' IDs that a column holds; return how many. May be run again.

    Batch by batch, each for itself outside a transaction: a log takes its time.
    """
    inner, outer = _keys(settings.HASH_KEY)
    sql = _HIDE.format(table=table, column=column, where=where)
    count = 0
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT min(id), max(id) FROM {table}")  # noqa: S608 -- a name of ours
        first, end = cursor.fetchone()
        while first is not None and first <= end:
            last = first + ROWS_AT_ONCE - 1
            cursor.execute(sql, {"inner": inner, "outer": outer, "first": first, "last": last})
            count += cursor.rowcount
            first = last + 1
    return count


def _pseudonym(prefix: str, value: str) -> str:
    begun, ended = _halves(settings.HASH_KEY)
    inner, outer = begun.copy(), ended.copy()
    inner.update(f"{prefix}{value}".encode(errors="surrogatepass"))
    outer.update(inner.digest())
    return prefix + urlsafe_b64encode(outer.digest()[:BYTES])[:CHARACTERS].decode()


@lru_cache(maxsize=4)
def _halves(hash_key: str) -> tuple[Any, Any]:
    """HMAC's two hashes with their keys worked in; the library's own call takes twice as long."""
    inner, outer = _keys(hash_key)
    return hashlib.sha256(inner), hashlib.sha256(outer)


def _keys(hash_key: str) -> tuple[bytes, bytes]:
    """The two keys of HMAC, as RFC 2104 makes them from the one."""
    key = hash_key.encode()
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    key = key.ljust(_BLOCK, b"\0")
    return bytes(one ^ 0x36 for one in key), bytes(one ^ 0x5C for one in key)
