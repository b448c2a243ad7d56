"""Fetching a page of the web: by http or https, with limits to its time, size and redirects."""

import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import (
    BaseHandler,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

TIMEOUT = 10.0
MAX_SECONDS = 30.0
MAX_PAGE = 3_000_000
MAX_REDIRECTS = 5
CHUNK = 65_536
AGENT = "Cuepost audit_tracking"


class Unreachable(Exception):
    """The page can't be fetched; the text says why."""


@dataclass(frozen=True)
class Answer:
    """What an address answered, after redirects."""

    url: str
    status: int
    text: str


class _Redirects(HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTS


# None for files or FTP, whatever a redirect says.
_HANDLERS: tuple[type[BaseHandler], ...] = (
    ProxyHandler,
    HTTPHandler,
    HTTPSHandler,
    HTTPErrorProcessor,
    HTTPDefaultErrorHandler,
    _Redirects,
)


def fetch(url: str, *, limit: int = MAX_PAGE, until: float | None = None) -> Answer:
    """Fetch a page by http or https: no longer, no larger and no further than the limits say."""
    parts = urlsplit(absolute(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreachable("Give an address that begins with http:// or https://.")
    until = until or time.monotonic() + MAX_SECONDS
    opener = OpenerDirector()
    for handler in _HANDLERS:
        opener.add_handler(handler())
    try:
        request = Request(url, headers={"User-Agent": AGENT})  # noqa: S310 -- http(s) only
        with opener.open(request, timeout=TIMEOUT) as response:
            body = _read(response, limit, until)
            charset = response.headers.get_content_charset() or "utf-8"
            return Answer(response.url, response.status, _decode(body, charset))
    except HTTPError as problem:
        raise Unreachable(f"It answers with {problem.code}.") from problem
    except (URLError, HTTPException, OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        raise Unreachable(f"It can't be reached: {reason}.") from problem


def absolute(url: str, base: str = "") -> str:
    """An address of a page, whole; empty for what is none."""
    try:
        whole = urljoin(base, url.strip())
        return whole if urlsplit(whole).netloc else ""
    except ValueError:
        return ""


def _read(response: Any, limit: int, until: float) -> bytes:
    body = b""
    while len(body) < limit:
        if time.monotonic() > until:
            raise TimeoutError("it takes too long")
        chunk = response.read1(CHUNK)
        if not chunk:
            break
        body += chunk
    return body[:limit]


def _decode(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, errors="replace")
    except LookupError:
        return body.decode(errors="replace")
