"""Signed tokens for public links: each is bound to one purpose and needs no table."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core import signing

# Less than this does not become smaller, and the attempt takes longer than all the rest.
SHORT = 200


class BadToken(Exception):
    """The token is forged, damaged or made for another purpose."""


def sign(purpose: str, payload: Any) -> str:
    """Return a URL-safe token over a JSON value; SECRET_KEY_FALLBACKS keep old ones valid."""
    signer = _signer(purpose, settings.SECRET_KEY)
    return signer.sign_object(payload, compress=len(str(payload)) > SHORT)


@lru_cache(maxsize=100)
def _signer(purpose: str, key: str) -> signing.Signer:
    return signing.Signer(key=key, salt=f"cuepost.{purpose}")


def read(purpose: str, token: str) -> Any:
    """Return what was signed for this purpose, or raise BadToken."""
    signer = signing.Signer(salt=f"cuepost.{purpose}")
    try:
        return signer.unsign_object(token)
    except Exception as problem:
        # A forged token may fail in base64, zlib or JSON as well as in the signature.
        raise BadToken("This link is not valid.") from problem
