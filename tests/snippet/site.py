"""A bare website with cuepost.js, which writes down everything that it is sent."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from django.conf import settings

FOLDER = Path(settings.BASE_DIR) / "static" / "public"
# What browsers are served.
SNIPPET = FOLDER / "cuepost.min.js"


def tag(attributes: str = "", *, times: bool = False) -> str:
    """The script element; without time on page, unless a test is about that."""
    engagement = "" if times else 'data-engagement="false"'
    return (
        f'<script src="/js/cuepost.js" data-write-key="pk_test" {engagement} {attributes}'
        " defer></script>"
    )


@dataclass
class Site:
    """Pages with the snippet, and the tracking API behind it."""

    url: str = ""
    status: int = 200
    delay: float = 0
    policy: str = ""
    pages: dict[str, str] = field(
        default_factory=lambda: {
            "/": tag('data-consent="required"'),
            "/implied": tag('data-consent="implied"'),
            "/quiet": tag('data-auto-page="false"'),
            "/plain": "",
        }
    )
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def find(self, path: str) -> tuple[int, str, bytes]:
        if path == "/js/cuepost.js":
            return 200, "text/javascript", SNIPPET.read_bytes()
        if path in self.pages:
            page = f"<!doctype html><title>Page {path}</title>{self.pages[path]}"
            return 200, "text/html", page.encode()
        return 404, "text/plain", b""

    def messages(self) -> list[dict[str, Any]]:
        bodies = [body for _, body in self.received]
        return [message for body in bodies for message in body.get("batch", [body])]

    def names(self) -> list[str]:
        return [message.get("event", message["type"]) for message in self.messages()]

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What was tracked, with its properties."""
        tracked = [message for message in self.messages() if message["type"] == "track"]
        return [(message["event"], message["properties"]) for message in tracked]

    def ids(self) -> list[str]:
        return [message["messageId"] for message in self.messages()]


def handler_for(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(*site.find(self.path.split("?")[0]))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = site.status
            body["_type"] = self.headers["Content-Type"]
            body["_cookies"] = self.headers["Cookie"]
            body["_status"] = status
            site.received.append((self.path, body))
            time.sleep(site.delay)
            self.answer(status, "application/json", b"{}")

        def answer(self, status: int, content_type: str, body: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                if site.policy:
                    self.send_header("Content-Security-Policy", site.policy)
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Keep the test output quiet."""

    return Handler


def settle(page: Any, is_done: Callable[[], bool] = lambda: False, *, seconds: float = 0.3) -> None:
    """Let the browser work until something is the case, or for that long."""
    deadline = time.monotonic() + seconds
    while not is_done() and time.monotonic() < deadline:
        page.wait_for_timeout(20)


def await_names(page: Any, site: Site, names: list[str]) -> None:
    settle(page, lambda: len(site.names()) >= len(names), seconds=5)
    assert site.names() == names


def cookies_of(page: Any) -> dict[str, dict[str, Any]]:
    return {cookie["name"]: cookie for cookie in page.context.cookies()}


def choice_of(page: Any) -> str:
    return str(cookies_of(page).get("cuepost_consent", {"value": ""})["value"])


def storage_of(page: Any) -> dict[str, Any]:
    stored: dict[str, Any] = page.evaluate("Object.assign({}, localStorage, sessionStorage)")
    return stored


def kept_queue(page: Any) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = page.evaluate("JSON.parse(localStorage.cuepost_queue || '[]')")
    return kept
