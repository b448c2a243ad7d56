"""Signed tokens for public links: each is bound to one purpose and needs no table."""

from typing import Any

from django.core import signing


class BadToken(Exception):
    """The token is forged, damaged or made for another purpose."""


def sign(purpose: str, payload: Any) -> str:
    """Return a URL-safe token over a JSON value; SECRET_KEY_FALLBACKS keep old ones valid."""
    signer = signing.Signer(salt=f"cuepost.{purpose}")
    return signer.sign_object(payload, compress=True)


def read(purpose: str, token: str) -> Any:
    """Return what was signed for this purpose, or raise BadToken."""
    signer = signing.Signer(salt=f"cuepost.{purpose}")
    try:
        return signer.unsign_object(token)
    except Exception as problem:
        # A forged token may fail in base64, zlib or JSON as well as in the signature.
        raise BadToken("This link is not valid.") from problem
