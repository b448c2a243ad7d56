"""Keyed hashes: pseudonyms that only this installation can make again."""

import hashlib
import hmac

from django.conf import settings


def keyed_hash(value: str) -> str:
    """Return the HMAC-SHA256 (RFC 2104) of the text under HASH_KEY, as 64 hex digits."""
    return hmac.new(settings.HASH_KEY.encode(), value.encode(), hashlib.sha256).hexdigest()
