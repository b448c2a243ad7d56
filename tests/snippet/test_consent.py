"""Nothing before the choice, everything after it, and nothing again once it is taken back."""

import time
from typing import Any
from urllib.parse import urlsplit

from tests.snippet.site import (
    SNIPPET,
    await_names,
    cookies_of,
    kept_queue,
    settle,
    storage_of,
    tag,
)

THIRTEEN_MONTHS = 396 * 86400
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


def test_snippet_stores_and_sends_nothing_before_the_choice(page, site):
    page.goto("/?utm_source=news")
    page.evaluate("cuepost.track('Seen'); cuepost.identify('u-1', {email: 'a@example.com'})")
    settle(page)

    assert site.received == []
    assert cookies_of(page) == {}
    assert storage_of(page) == {}
    assert page.evaluate("[cuepost.anonymousId(), cuepost.consent()]") == [None, None]


def test_nothing_is_stored_before_the_choice_whatever_is_switched_on(page, site):
    everything = 'data-layer="dataLayer" data-consent-mode="on" data-tcf data-cookie-days="30"'
    site.pages["/all"] = tag(everything, times=True)
    page.goto("/all?utm_source=news&gclid=g-1")
    page.evaluate("""
        cuepost.cart.added({product_id: "A-1"});
        cuepost.order.completed({order_id: "o-1"});
        cuepost.identify("u-1", {email: "a@example.com"}, {signature: "abc"});
        cuepost.alias("u-2");
        cuepost.reset();
        dataLayer.push({event: "view_cart", ecommerce: {items: []}});
        history.pushState({}, "", "/two");
        dispatchEvent(new Event("online"));
    """)
    page.wait_for_timeout(1100)
    page.goto("/all")
    settle(page)

    assert site.received == []
    assert cookies_of(page) == {}
    assert storage_of(page) == {}
    assert page.evaluate("indexedDB.databases()") == []


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

    assert site.messages()[0]["context"]["consent"] == {"gpc": True}


def test_cookie_lives_as_long_as_configured(page, site):
    site.pages["/short"] = tag('data-consent="implied" data-cookie-days="30"')
    page.goto("/short")
    await_names(page, site, ["page"])

    age = cookies_of(page)["cuepost_anonymous_id"]["expires"] - time.time()
    assert abs(age - 30 * 86400) < 60


def test_cookie_is_secure_and_shared_by_the_hosts_of_a_shop(page, site):
    """On https, as the page of a shop with several hosts; nothing leaves the browser."""
    attributes = 'data-consent="implied" data-cookie-domain="shop.example"'

    def serve(route: Any) -> None:
        path = urlsplit(route.request.url).path
        body = SNIPPET.read_text() if path.endswith(".js") else tag(attributes)
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        route.fulfill(status=200, content_type=kind, body=body)

    page.context.route("**/*", serve)
    page.goto("https://www.shop.example/")
    page.evaluate("cuepost.consent({tracking: true})")
    kept = cookies_of(page)
    page.evaluate("cuepost.consent({tracking: false})")

    for cookie in kept.values():
        assert (cookie["domain"], cookie["secure"]) == (".shop.example", True)
        assert (cookie["sameSite"], cookie["path"]) == ("Lax", "/")
    assert set(kept) == {"cuepost_consent", "cuepost_anonymous_id"}
    assert set(cookies_of(page)) == {"cuepost_consent"}


def test_withdrawal_purges_what_waits_and_it_is_never_sent(page, site):
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true}); cuepost.identify('u-1')")
    await_names(page, site, ["identify"])
    page.context.set_offline(True)
    page.evaluate("cuepost.track('Offline')")
    waiting = kept_queue(page)
    page.evaluate("cuepost.consent({tracking: false})")
    stored = storage_of(page)
    page.context.set_offline(False)
    await_names(page, site, ["identify", "Consent Preference Updated"])
    page.goto("/quiet")
    settle(page)

    assert [message["event"] for message in waiting] == ["Offline"]
    assert stored == {}
    assert site.names() == ["identify", "Consent Preference Updated"]
    assert (storage_of(page), set(cookies_of(page))) == ({}, {"cuepost_consent"})
