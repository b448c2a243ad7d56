"""The visitor's address behind proxies, which nobody can make up."""

from typing import Any

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from config.proxies import ClientAddress


def address_of(header: str | None) -> str:
    seen: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    headers = {} if header is None else {"X-Forwarded-For": header}
    ClientAddress(view)(RequestFactory().get("/", headers=headers))
    return seen[0]


@pytest.mark.parametrize(
    ("count", "header", "address"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9, 192.0.2.4", "203.0.113.9"),
        (2, "203.0.113.9", "127.0.0.1"),
        (1, None, "127.0.0.1"),
        (1, "203.0.113.9, ", "127.0.0.1"),
    ],
)
def test_the_address_is_what_our_outermost_proxy_saw(settings: Any, count, header, address):
    settings.PROXY_COUNT = count

    assert address_of(header) == address


def test_without_proxies_nobody_is_believed(settings: Any):
    settings.PROXY_COUNT = 0

    with pytest.raises(MiddlewareNotUsed):
        address_of("203.0.113.9")
