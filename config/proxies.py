"""Whose address a request comes from, behind proxies that we know of."""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponseBase

View = Callable[[HttpRequest], HttpResponseBase]


class ClientAddress:
    """Takes the visitor's address from X-Forwarded-For, as the outermost proxy of ours noted it.

    Each proxy adds to its right end whom it was asked by. So what a visitor puts there themselves
    stands further left, and is never read.
    """

    def __init__(self, get_response: View) -> None:
        if not settings.PROXY_COUNT:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        noted = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
        if len(noted) >= settings.PROXY_COUNT and noted[-settings.PROXY_COUNT]:
            request.META["REMOTE_ADDR"] = noted[-settings.PROXY_COUNT]
        return self.get_response(request)
