"""The loader that keeps what is called before the script is there, and strict pages."""

from typing import Any

import pytest
from django.conf import settings
from django.template.loader import render_to_string

from tests.snippet.site import await_names, tag

STRICT = "default-src 'none'; script-src 'self' 'nonce-r4nd0m'; connect-src 'self'"


def loader(base_url: str = "") -> str:
    """As the admin shows it to copy."""
    return render_to_string(
        "admin/events/loader.html", {"base_url": base_url, "key": "pk_test"}
    ).replace("defer", 'data-engagement="false" defer')


def complaints(page: Any) -> list[str]:
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def test_calls_before_the_script_has_loaded_are_made_in_order(page, site):
    site.pages["/early"] = (
        loader()
        + """<script>
        cuepost.track("First");
        cuepost.cart.added({product_id: "A-1"});
        cuepost.identify("u-1", {first_name: "Ada"});
        cuepost.consent({tracking: true});
        cuepost.order.completed({order_id: "o-1"}, {messageId: "order-o-1"});
    </script>"""
    )
    page.goto("/early")

    await_names(page, site, ["page", "First", "Product Added", "identify", "Order Completed"])
    assert site.told()[-1] == ("Order Completed", {"order_id": "o-1"})
    assert site.ids()[-1] == "order-o-1"


def test_loader_knows_every_call(page, site):
    site.pages["/early"] = (
        """<script>
        window.calls = (target) => Object.keys(target).flatMap((name) =>
            typeof target[name] === "object" ? calls(target[name]).map((verb) => name + "." + verb)
                : typeof target[name] === "function" ? [name] : []);
    </script>"""
        + loader()
        + "<script>window.kept = calls(window.cuepost);</script>"
    )
    page.goto("/early")

    kept, known = page.evaluate("[kept, calls(cuepost)]")
    assert set(known) - set(kept) == {"anonymousId", "push"}
    assert set(kept) <= set(known)


def test_a_page_with_the_script_twice_reports_once(page, site):
    twice = loader() + loader()
    site.pages["/twice"] = twice + "<script>cuepost.consent({tracking: true})</script>" + loader()
    page.goto("/twice")

    await_names(page, site, ["page"])


def test_the_script_alone_works_under_a_strict_policy(page, site):
    site.policy = STRICT
    site.pages["/strict"] = tag('data-consent="implied" data-layer="dataLayer" data-tcf')
    heard = complaints(page)
    page.goto("/strict")
    await_names(page, site, ["page"])
    page.goto("/plain")

    assert heard == []


def test_the_loader_works_under_a_strict_policy_with_its_nonce(page, site):
    site.policy = STRICT
    early = "<script>cuepost.consent({tracking: true}); cuepost.track('Early');</script>"
    site.pages["/strict"] = (loader() + early).replace("<script>", '<script nonce="r4nd0m">')
    heard = complaints(page)
    page.goto("/strict")

    await_names(page, site, ["page", "Early"])
    assert heard == []


def test_a_script_that_another_script_adds_finds_its_settings(page, site):
    gtm = render_to_string("admin/events/snippet_gtm.html", {"base_url": "", "key": "pk_test"})
    site.pages["/gtm"] = (
        "<script>dataLayer = [{event: 'view_cart', ecommerce: {items: []}}]</script>" + gtm
    )
    page.goto("/gtm")
    page.evaluate("""
        (function () { dataLayer.push(arguments); })(
            "consent", "update", {analytics_storage: "granted"});
    """)

    await_names(page, site, ["page", "Cart Viewed"])


@pytest.mark.parametrize("name", ["loader", "snippet_gtm"])
def test_the_guide_shows_what_the_admin_shows(name):
    values = {"base_url": "https://mail.shop.example", "key": "pk_…"}

    shown = render_to_string(f"admin/events/{name}.html", values)

    assert shown in (settings.BASE_DIR / "docs" / "snippet.md").read_text()
