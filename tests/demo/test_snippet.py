"""cuepost.js in a real browser, on a bare site that writes down everything it is sent."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

SNIPPET = Path(settings.BASE_DIR) / "static" / "public" / "cuepost.js"
THIRTEEN_MONTHS = 396 * 86400
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
STUB = """<script>
  window.cuepost = window.cuepost || [];
  ["page", "track", "identify", "alias", "reset", "consent"].forEach(function (name) {
    cuepost[name] = cuepost[name] || function () {
      cuepost.push([name].concat([].slice.call(arguments)));
    };
  });
  cuepost.track("Early");
</script>"""
TAG = '<script src="/js/cuepost.js" data-write-key="pk_test" {} defer></script>'
PAGES = {
    "/": TAG.format('data-consent="required"'),
    "/implied": TAG.format('data-consent="implied"'),
    "/quiet": TAG.format('data-auto-page="false"'),
    "/stub": STUB + TAG.format(""),
    "/plain": "",
}


@dataclass
class Site:
    """A website with the snippet, and the tracking API behind it."""

    url: str = ""
    status: int = 200
    delay: float = 0
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def messages(self) -> list[dict[str, Any]]:
        bodies = [body for _, body in self.received]
        return [message for body in bodies for message in body.get("batch", [body])]

    def names(self) -> list[str]:
        return [message.get("event", message["type"]) for message in self.messages()]


def handler_for(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/js/cuepost.js":
                self.answer(200, "text/javascript", SNIPPET.read_bytes())
            elif path in PAGES:
                page = f"<!doctype html><title>Page {path}</title>{PAGES[path]}"
                self.answer(200, "text/html", page.encode())
            else:
                self.answer(404, "text/plain", b"")

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
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Keep the test output quiet."""

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(site))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(chromium: Any, site: Site) -> Iterator[Any]:
    context = chromium.new_context(base_url=site.url)
    yield context.new_page()
    context.close()


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


def storage_of(page: Any) -> dict[str, Any]:
    return page.evaluate("Object.assign({}, localStorage, sessionStorage)")


def kept_queue(page: Any) -> list[dict[str, Any]]:
    return json.loads(page.evaluate("sessionStorage.getItem('cuepost')"))["queue"]


def test_snippet_stores_and_sends_nothing_before_the_choice(page, site):
    page.goto("/?utm_source=news")
    page.evaluate("cuepost.track('Seen'); cuepost.identify('u-1', {email: 'a@example.com'})")
    settle(page)

    assert site.received == []
    assert cookies_of(page) == {}
    assert storage_of(page) == {}
    assert page.evaluate("[cuepost.anonymousId(), cuepost.consent()]") == [None, None]


def test_accept_sends_what_was_held_under_one_random_id(page, site):
    page.goto("/")
    page.evaluate("cuepost.track('Product Viewed', {product_id: 'A-1', price: 24})")
    page.evaluate("cuepost.consent({tracking: true, email_marketing: false})")
    await_names(page, site, ["page", "Product Viewed"])

    (path, body) = site.received[0]
    anonymous_id = page.evaluate("cuepost.anonymousId()")
    viewed = site.messages()[1]
    assert (path, body["writeKey"], body["_type"]) == ("/v1/b", "pk_test", "text/plain")
    assert body["_cookies"] is None
    assert {message["anonymousId"] for message in site.messages()} == {anonymous_id}
    assert viewed["properties"] == {"product_id": "A-1", "price": 24}
    assert viewed["context"]["consent"]["categoryPreferences"] == {
        "tracking": True,
        "email_marketing": False,
    }
    assert viewed["context"]["page"] == {
        "path": "/",
        "referrer": "",
        "search": "",
        "title": "Page /",
        "url": f"{site.url}/",
    }


def test_accept_keeps_one_lasting_id_in_a_first_party_cookie(page, site):
    page.goto("/")
    page.evaluate("cuepost.consent({tracking: true})")
    await_names(page, site, ["page"])
    kept = cookies_of(page)
    page.goto("/")
    await_names(page, site, ["page", "page"])

    assert set(kept) == {"cuepost_consent", "cuepost_anonymous_id"}
    assert kept["cuepost_consent"]["value"] == "tracking:1"
    assert kept["cuepost_anonymous_id"]["sameSite"] == "Lax"
    assert kept["cuepost_anonymous_id"]["expires"] - time.time() < THIRTEEN_MONTHS
    assert page.evaluate(f"/{UUID}/.test(cuepost.anonymousId())")
    assert cookies_of(page) == kept


def test_reject_drops_what_was_held_and_names_nobody(page, site):
    page.goto("/")
    page.evaluate("cuepost.identify('u-1', {email: 'a@example.com'})")
    page.evaluate("cuepost.consent({tracking: false})")
    page.evaluate("cuepost.track('Later')")
    page.goto("/")
    settle(page)

    values = {name: cookie["value"] for name, cookie in cookies_of(page).items()}
    assert site.received == []
    assert values == {"cuepost_consent": "tracking:0"}
    assert storage_of(page) == {}


def test_withdrawal_is_told_and_then_everything_is_forgotten(page, site):
    page.goto("/")
    page.evaluate("cuepost.consent({tracking: true})")
    await_names(page, site, ["page"])
    anonymous_id = page.evaluate("cuepost.anonymousId()")
    page.evaluate("cuepost.consent({tracking: false}); cuepost.track('Later')")
    settle(page, lambda: len(site.received) > 1, seconds=5)
    settle(page)

    last = site.messages()[-1]
    assert site.names() == ["page", "Consent Preference Updated"]
    assert last["anonymousId"] == anonymous_id
    assert last["context"]["consent"]["categoryPreferences"] == {"tracking": False}
    assert set(cookies_of(page)) == {"cuepost_consent"}
    assert storage_of(page) == {}


def test_rejection_in_another_tab_stops_this_one(page, site):
    page.goto("/")
    page.evaluate("cuepost.consent({tracking: true})")
    await_names(page, site, ["page"])
    other = page.context.new_page()
    other.goto("/quiet")
    other.evaluate("cuepost.consent({tracking: false})")
    page.evaluate("cuepost.track('Later')")
    settle(page)

    assert site.names() == ["page", "Consent Preference Updated"]


def test_campaign_of_the_landing_page_is_kept_for_the_visit(page, site):
    page.goto(
        "/?utm_source=news&utm_medium=email&utm_campaign=spring&utm_term=mugs&utm_content=top"
    )
    page.evaluate("cuepost.consent({tracking: true})")
    await_names(page, site, ["page"])
    page.goto("/")
    await_names(page, site, ["page", "page"])

    campaign = {
        "name": "spring",
        "source": "news",
        "medium": "email",
        "term": "mugs",
        "content": "top",
    }
    assert [message["context"]["campaign"] for message in site.messages()] == [campaign, campaign]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_cannot_answer_is_asked_again_with_the_same_id(page, site, status):
    site.status = status
    page.goto("/")
    page.evaluate("cuepost.consent({tracking: true})")
    settle(page, lambda: len(site.received) == 1, seconds=5)
    site.status = 200
    settle(page, lambda: len(site.received) == 2, seconds=5)
    settle(page)

    first, second = site.messages()
    assert first["messageId"] == second["messageId"]
    assert kept_queue(page) == []


def test_a_refused_event_is_not_sent_again(page, site):
    site.status = 400
    page.goto("/")
    page.evaluate("cuepost.consent({tracking: true})")
    settle(page, lambda: len(site.received) > 1, seconds=2)

    assert site.names() == ["page"]
    assert kept_queue(page) == []


def test_unsent_events_are_taken_up_by_the_next_page(page, site):
    site.status = 503
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true}); cuepost.track('Offline')")
    settle(page, lambda: len(site.received) == 1, seconds=5)
    site.status = 200
    page.goto("/quiet")
    settle(page, lambda: site.received[-1][1]["_status"] == 200, seconds=5)
    settle(page)

    ids = {message["messageId"] for message in site.messages()}
    assert set(site.names()) == {"Offline"}
    assert len(ids) == 1
    assert kept_queue(page) == []


def test_saying_yes_again_leaves_the_queue_as_it_is(page, site):
    site.status = 503
    page.goto("/implied")
    page.evaluate("cuepost.track('A'); cuepost.track('B')")
    for _ in range(3):
        page.evaluate("cuepost.consent({tracking: true})")

    kept = [message.get("event", message["type"]) for message in kept_queue(page)]
    assert kept == ["page", "A", "B"]


def test_a_no_to_mail_is_told_at_once_and_only_when_it_is_new(page, site):
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true, email_marketing: true}); cuepost.track('A')")
    await_names(page, site, ["A"])

    page.evaluate("cuepost.consent({email_marketing: false})")
    await_names(page, site, ["A", "Consent Preference Updated"])
    page.evaluate("cuepost.consent({email_marketing: false})")
    settle(page)

    first, last = site.messages()
    assert last["anonymousId"] == first["anonymousId"]
    assert last["context"]["consent"]["categoryPreferences"] == {
        "tracking": True,
        "email_marketing": False,
    }
    assert len(site.received) == 2


def test_a_no_to_mail_before_any_yes_stores_and_sends_nothing(page, site):
    page.goto("/")
    page.evaluate("cuepost.consent({email_marketing: false})")
    settle(page)

    assert site.received == []
    assert set(cookies_of(page)) == {"cuepost_consent"}
    assert storage_of(page) == {}


def test_a_no_to_mail_that_fails_waits_in_the_queue(page, site):
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true}); cuepost.track('A')")
    await_names(page, site, ["A"])
    site.status = 503
    page.evaluate("cuepost.consent({email_marketing: false})")
    settle(page, lambda: bool(kept_queue(page)), seconds=5)
    site.status = 200
    page.goto("/quiet")
    settle(page, lambda: site.received[-1][1]["_status"] == 200, seconds=5)
    settle(page)

    told = [message for message in site.messages() if message["event"] != "A"]
    assert len({message["messageId"] for message in told}) == 1
    assert told[-1]["context"]["consent"]["categoryPreferences"]["email_marketing"] is False
    assert kept_queue(page) == []


def test_a_withdrawal_that_fails_is_told_again_and_never_stored(page, site):
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true}); cuepost.track('A')")
    await_names(page, site, ["A"])
    site.status = 503
    page.evaluate("cuepost.consent({tracking: false})")
    settle(page, lambda: len(site.received) == 2, seconds=5)
    site.status = 200

    assert storage_of(page) == {}
    settle(page, lambda: len(site.received) == 3, seconds=5)
    first, second, third = site.messages()
    assert third == {**second, "sentAt": third["sentAt"], "_status": 200}
    assert third["anonymousId"] == first["anonymousId"]
    assert (storage_of(page), set(cookies_of(page))) == ({}, {"cuepost_consent"})


def test_queue_keeps_the_newest_hundred(page, site):
    site.status = 503
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true})")
    page.evaluate("for (let n = 0; n < 130; n += 1) cuepost.track('E' + n)")

    assert [message["event"] for message in kept_queue(page)] == [f"E{n}" for n in range(30, 130)]


def test_leaving_the_page_hands_the_rest_to_the_browser(page, site):
    page.goto("/quiet")
    site.delay = 1
    page.evaluate("cuepost.consent({tracking: true}); cuepost.track('First')")
    settle(page, lambda: len(site.received) == 1, seconds=5)
    page.evaluate("cuepost.track('Second')")
    page.goto("/plain")
    settle(page, lambda: len(site.received) == 2, seconds=5)

    assert site.names() == ["First", "Second"]
    assert [body["_type"] for _, body in site.received] == ["text/plain", "text/plain"]


def test_large_requests_are_split_and_a_too_large_event_is_left_out(page, site):
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true})")
    page.evaluate("""
        for (const name of ["A", "B", "C"]) cuepost.track(name, {text: "x".repeat(20000)});
        cuepost.track("Huge", {text: "x".repeat(40000)});
    """)
    await_names(page, site, ["A", "B", "C"])

    assert [path for path, _ in site.received] == ["/v1/b", "/v1/t"]


def test_identify_alias_and_reset_follow_the_person(page, site):
    page.goto("/quiet")
    page.evaluate("""
        cuepost.consent({tracking: true});
        cuepost.identify("u-1", {email: "ada@example.com"});
        cuepost.track("Known");
        cuepost.alias("u-2");
    """)
    await_names(page, site, ["identify", "Known", "alias"])
    before = page.evaluate("cuepost.anonymousId()")
    page.evaluate("cuepost.reset(); cuepost.track('Unknown')")
    await_names(page, site, ["identify", "Known", "alias", "Unknown"])

    identify, known, alias, unknown = site.messages()
    assert (identify["userId"], identify["traits"]) == ("u-1", {"email": "ada@example.com"})
    assert (known["userId"], known["anonymousId"]) == ("u-1", before)
    assert (alias["userId"], alias["previousId"]) == ("u-2", before)
    assert "userId" not in unknown
    assert unknown["anonymousId"] not in (before, None)


def test_calls_before_the_script_has_loaded_are_kept(page, site):
    page.goto("/stub")
    page.evaluate("cuepost.consent({tracking: true})")

    await_names(page, site, ["page", "Early"])


def test_implied_consent_tracks_until_it_is_refused(page, site):
    page.goto("/implied")
    await_names(page, site, ["page"])
    page.evaluate("cuepost.consent({tracking: false})")
    settle(page, lambda: len(site.received) == 2, seconds=5)
    page.goto("/implied")
    settle(page)

    assert site.names() == ["page", "Consent Preference Updated"]
    assert "consent" not in site.messages()[0]["context"]
    assert set(cookies_of(page)) == {"cuepost_consent"}


def test_privacy_signal_of_the_browser_is_passed_on(page, site):
    page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page.goto("/implied")
    await_names(page, site, ["page"])

    assert site.messages()[0]["context"]["gpc"] is True


def test_a_call_that_cannot_work_does_not_stop_the_page(page, site):
    page.goto("/quiet")
    reached = page.evaluate("""() => {
        const circle = {};
        circle.self = circle;
        cuepost.track("Broken", circle);
        cuepost.track("Fine");
        cuepost.consent({tracking: true});
        cuepost.track("Broken", circle);
        return true;
    }""")

    assert reached
    await_names(page, site, ["Fine"])


def test_snippet_stays_small():
    assert len(gzip.compress(SNIPPET.read_bytes())) < 6 * 1024
