"""The word of a shop's server in the mouth of a browser: whose user ID this is.

A page that knows who is logged in gets HMAC-SHA256(user ID, identity secret) from its own server
and sends it along. The secret is derived from the installation's key, so no table holds it.
"""

import hashlib
import hmac

from apps.core.hashing import keyed_hash
from apps.events.models import Source

WRONG = "wrong_signature"


def identity_secret(source: Source) -> str:
    """What the shop's server signs user IDs with."""
    return f"is_{keyed_hash(f'identity:{source.pk}:{source.identity_salt}')}"


def sign(user_id: str, secret: str) -> str:
    """HMAC-SHA256 (RFC 2104) of a user ID, as 64 hex digits."""
    return hmac.new(_bytes(secret), _bytes(user_id), hashlib.sha256).hexdigest()


def is_valid(signature: str, *, user_id: str, source: Source) -> bool:
    expected = sign(user_id, identity_secret(source))
    return hmac.compare_digest(_bytes(signature.strip().lower()), _bytes(expected))


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")
