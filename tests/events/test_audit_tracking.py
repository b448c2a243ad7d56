"""`audit_tracking`: what it finds on a page, and what it says of it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import CommandError, call_command
from django.template.loader import render_to_string

from apps.demo.services import SOURCE_NAME
from apps.events import audit, fetching, services
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

BANNER = '<script src="/js/cuepost-banner.js" defer></script>'
SCRIPT = "/* cuepost */"


@pytest.fixture
def site():
    """A website on loopback; `site.pages` maps paths to what they answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0]
            answer = self.server.pages.get(path)
            if isinstance(answer, tuple):
                self.send_response(302)
                self.send_header("Location", answer[0])
                self.end_headers()
                return
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((answer or "").encode())

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{server.server_port}/"
    server.pages = {"/js/cuepost.js": SCRIPT}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def source():
    return SourceFactory(name="Tea shop", public_key="pk_0123456789abcdef")


def snippet(key="pk_0123456789abcdef", more=""):
    return f'<script src="/js/cuepost.js" data-write-key="{key}" {more} defer></script>'


def look(site, html, path="/"):
    site.pages["/"] = f"<html><head>{html}</head></html>"
    return audit.audit(site.url.rstrip("/") + path)


def told(found, name):
    return [(check.state, check.text) for check in found.checks if check.name == name]


def run(url, capsys, *options):
    code = 0
    try:
        call_command("audit_tracking", url, *options)
    except CommandError as problem:
        code = problem.returncode
    return code, capsys.readouterr().out


def test_a_sound_page(site, source, capsys):
    site.pages["/"] = snippet() + BANNER

    code, out = run(site.url, capsys)

    assert code == 0
    assert "with the public key of “Tea shop”" in out
    assert "Consent is asked by Cuepost’s banner." in out
    assert out.endswith("Tracking on this page is sound.\n")


def test_json_is_nothing_but_json(site, source, capsys):
    site.pages["/"] = snippet()

    code, out = run(site.url, capsys, "--json")

    read = json.loads(out)
    assert code == 1
    assert (read["url"], read["status"], read["is_sound"]) == (site.url, 200, False)
    assert {"name", "state", "text"} == set(read["checks"][0])


def test_a_secret_key_is_an_alarm_and_is_not_repeated(site, source):
    _, secret_key = services.create_source(name="Server", now=NOON)

    found = look(site, snippet(secret_key) + BANNER)

    assert not found.is_sound
    ((state, words),) = told(found, "secret_key")
    assert (state, words.startswith("ALARM: ")) == ("danger", True)
    assert "the secret key of “Server”" in words
    assert "SECRET key" in told(found, "snippet")[0][1]
    assert secret_key not in json.dumps(found.as_json())


def test_a_secret_key_in_a_script_of_the_site_is_found_too(site, source):
    site.pages["/app.js"] = "const key = 'sk_" + "a" * 32 + "';"

    found = look(site, snippet() + BANNER + '<script src="/app.js"></script>')

    assert "something like a secret key" in told(found, "secret_key")[0][1]
    assert not found.is_sound


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("pk_of_somebody_else", "no source here has the key"),
        ("", "has no write key"),
        ("pk_off", "is switched off"),
    ],
)
def test_a_key_that_takes_nothing_is_told(site, source, key, words):
    SourceFactory(public_key="pk_off", is_active=False)

    found = look(site, snippet(key) + BANNER)

    assert words in told(found, "snippet")[0][1]
    assert not found.is_sound


def test_a_snippet_that_does_not_load_is_told(site, source):
    del site.pages["/js/cuepost.js"]

    found = look(site, snippet() + BANNER)

    assert ("danger", "cuepost.js does not load. It answers with 404.") in told(found, "snippet")
    assert not found.is_sound


def test_a_snippet_that_is_there_twice_is_told(site, source):
    assert ("warning", "cuepost.js is there twice.") in told(
        look(site, snippet() * 2 + BANNER), "snippet"
    )


def test_the_loader_of_a_tag_manager_is_understood(site, source):
    html = render_to_string(
        "admin/events/snippet_gtm.html",
        {"base_url": site.url.rstrip("/"), "key": source.public_key},
    )

    found = look(site, html + BANNER)

    assert told(found, "snippet")[0][0] == "good"


def test_the_snippet_that_the_admin_shows_is_sound(site, source):
    context = {"base_url": site.url.rstrip("/"), "key": source.public_key}

    found = look(site, render_to_string("admin/events/loader.html", context) + BANNER)

    assert found.is_sound


def test_analytics_js_with_our_key_counts_and_with_another_is_told(site, source):
    ours = f"<script>analytics.load('{source.public_key}');</script>"
    theirs = (
        '<script src="https://cdn.segment.com/analytics.js/v1/abc123/analytics.min.js"></script>'
    )

    assert told(look(site, ours), "snippet")[0][0] == "good"
    assert "none of ours" in told(look(site, theirs), "other")[0][1]


def test_other_tools_are_named(site, source):
    html = (
        "<script>gtag('config', 'G-ABC123'); (function(){})('GTM-XYZ12')</script>"
        "<script src='https://consent.cookiebot.com/uc.js'></script>"
        "<script>gtag('consent', 'default', {}); cuepost.consent({tracking: true})</script>"
    )

    found = look(site, html)

    assert "GTM-XYZ12" in told(found, "tag_manager")[0][1]
    assert "G-ABC123" in told(found, "analytics")[0][1]
    assert told(found, "consent") == [
        ("good", "Consent is asked by Cookiebot, Google consent mode, cuepost.consent().")
    ]
    assert "Its tag manager may load it." in told(found, "snippet")[0][1]


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("/track?key=pk_0123456789abcdef&event=visit", "good"),
        ("/track?event=visit", "warning"),
        ("/track?key=pk_wrong&event=visit", "danger"),
    ],
)
def test_pixels_are_judged_by_their_key(site, source, address, state):
    html = f'<noscript><img src="{address.replace("&", "&amp;")}"></noscript>'

    assert told(look(site, html), "pixel")[0][0] == state


def test_a_page_where_nobody_asks_for_consent_is_not_sound(site, source):
    silent, implied = look(site, snippet()), look(site, snippet(more='data-consent="implied"'))

    assert "Nobody asks for consent" in told(silent, "consent")[0][1]
    assert "before anybody has agreed" in told(implied, "consent")[0][1]
    assert (silent.is_sound, implied.is_sound) == (False, False)


def test_utm_in_the_address_and_in_links(site, source):
    html = (
        snippet() + BANNER + '<a href="/sale?utm_source=home">in</a>'
        '<a href="https://elsewhere.example/?utm_source=us">out</a><a href="http://[">x</a>'
    )

    found = look(site, html, "/?utm_source=mail&utm_campaign=spring")

    assert told(found, "utm") == [
        ("info", "The address has utm_source=mail, utm_campaign=spring."),
        (
            "warning",
            "1 link within the site with UTM parameters: each click replaces the campaign that a "
            "visitor really came by.",
        ),
        ("info", "1 link to elsewhere with UTM."),
    ]


def test_redirects_are_followed_so_far(site, source, capsys):
    site.pages["/"] = ("/shop",)
    site.pages["/shop"] = snippet() + BANNER
    site.pages["/loop"] = ("/loop",)
    site.pages["/file"] = ("file:///etc/passwd",)

    assert audit.audit(site.url).final_url == f"{site.url}shop"
    assert run(f"{site.url}loop", capsys)[0] == 2
    assert run(f"{site.url}file", capsys)[0] == 2


@pytest.mark.parametrize(
    "url",
    [
        "shop.example", "ftp://shop.example/", "file:///etc/passwd", "http://", "http://[", "",
        "http://127.0.0.1:1/", "http://127.0.0.1:99999/", "http://a b/", "http://\x00/",
    ],
)  # fmt: skip
def test_what_can_not_be_fetched_ends_with_two(url, capsys):
    assert run(url, capsys) == (2, "")


def test_a_page_without_end_is_read_so_far_and_no_further(site, source):
    site.pages["/"] = snippet() + "x" * 1_000_000

    assert len(fetching.fetch(site.url, limit=1000).text) == 1000


def test_a_page_that_takes_too_long_is_given_up(site, source):
    site.pages["/"] = "x"

    with pytest.raises(fetching.Unreachable):
        fetching.fetch(site.url, until=0.1)


@pytest.mark.django_db(transaction=True)
def test_the_demo_shop_is_sound(live_server, capsys):
    SourceFactory(name=SOURCE_NAME)

    code, out = run(f"{live_server.url}/demo/", capsys)

    assert (code, f"with the public key of “{SOURCE_NAME}”" in out) == (0, True)


def test_scripts_that_can_not_be_read_are_told(site, source):
    found = look(site, snippet() + BANNER + '<script src="/gone.js"></script>')

    assert told(found, "scripts") == [("info", "1 script of the site could not be read.")]
    assert found.is_sound
