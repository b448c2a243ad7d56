"""Page views and time on page, also where no new document is loaded."""

from typing import Any

import pytest

from tests.snippet.site import (
    await_names,
    cookies_of,
    kept_queue,
    settle,
    storage_of,
    tag,
)

SECOND = 1000


@pytest.fixture
def timed(page, site) -> Any:
    """A page that measures time, in a browser whose clock the test moves."""
    site.pages["/timed"] = tag('data-consent="implied" data-auto-page="false"', times=True)
    page.clock.install()
    page.goto("/timed")
    return page


def show(page: Any, is_shown: bool) -> None:
    """As if another tab was put in front, or away again."""
    hidden = "false" if is_shown else "true"
    page.evaluate(f"""
        Object.defineProperty(document, "hidden", {{value: {hidden}, configurable: true}});
        document.dispatchEvent(new Event("visibilitychange"));
    """)


def seconds(site: Any) -> list[int]:
    return [properties["engaged_seconds"] for _, properties in site.told()]


def test_each_page_of_a_single_page_app_is_told(page, site):
    page.goto("/implied")
    await_names(page, site, ["page"])
    page.evaluate("history.pushState({}, '', '/shelf?color=red'); document.title = 'Shelf'")
    await_names(page, site, ["page"] * 2)
    page.evaluate("history.replaceState({}, '', '/shelf?color=blue')")
    await_names(page, site, ["page"] * 3)
    page.evaluate("history.back()")
    await_names(page, site, ["page"] * 4)

    facts = [message["properties"] for message in site.messages()]
    assert [fact["path"] + fact["search"] for fact in facts] == [
        "/implied",
        "/shelf?color=red",
        "/shelf?color=blue",
        "/implied",
    ]
    assert [fact["referrer"] for fact in facts[:3]] == [
        "",
        f"{site.url}/implied",
        f"{site.url}/shelf?color=red",
    ]
    assert facts[1]["title"] == "Shelf"


def test_the_same_address_and_a_place_on_it_are_no_new_page(page, site):
    page.goto("/implied")
    await_names(page, site, ["page"])
    page.evaluate("""
        history.replaceState({scroll: 7}, "", location.href);
        history.pushState({}, "", "#reviews");
        location.hash = "more";
    """)
    settle(page)

    assert site.names() == ["page"]


def test_a_page_that_is_only_prepared_has_not_been_seen(page, site):
    page.add_init_script("""
        Object.defineProperty(document, "prerendering", {value: true, configurable: true});
    """)
    page.goto("/implied")
    page.evaluate("cuepost.product.viewed({product_id: 'A-1'})")
    settle(page)
    before = (list(site.received), cookies_of(page), storage_of(page))
    page.evaluate("""
        Object.defineProperty(document, "prerendering", {value: false});
        document.dispatchEvent(new Event("prerenderingchange"));
    """)

    assert before == ([], {}, {})
    await_names(page, site, ["page", "Product Viewed"])


def test_history_goes_on_working_for_the_page(page, site):
    page.goto("/implied")
    page.evaluate("history.pushState({step: 2}, '', '/two')")

    assert page.evaluate("[history.state.step, location.pathname]") == [2, "/two"]


def test_time_on_page_is_told_once_when_it_is_left(timed, site):
    timed.clock.fast_forward(12 * SECOND)
    timed.goto("/quiet")
    settle(timed, lambda: bool(site.received), seconds=5)
    settle(timed)

    (path, body) = site.received[0]
    assert (len(site.received), path, body["_type"]) == (1, "/v1/t", "text/plain")
    assert site.told() == [("Page Engaged", {"engaged_seconds": 12, "path": "/timed"})]
    assert body["context"]["page"]["url"] == f"{site.url}/timed"
    assert kept_queue(timed) == []


def test_whoever_does_nothing_for_long_has_looked_away(timed, site):
    timed.clock.fast_forward(20 * SECOND)
    timed.keyboard.press("ArrowDown")
    timed.clock.fast_forward(300 * SECOND)
    timed.goto("/plain")
    settle(timed, lambda: bool(site.received), seconds=5)

    assert seconds(site) == [50]


def test_time_behind_another_tab_is_not_counted(timed, site):
    timed.clock.fast_forward(10 * SECOND)
    show(timed, is_shown=False)
    settle(timed, lambda: bool(site.received), seconds=5)
    timed.clock.fast_forward(60 * SECOND)
    show(timed, is_shown=True)
    timed.clock.fast_forward(5 * SECOND)
    timed.goto("/plain")
    settle(timed, lambda: len(site.received) > 1, seconds=5)
    settle(timed)

    assert seconds(site) == [10, 5]


def test_a_hidden_page_that_is_closed_tells_nothing_twice(timed, site):
    timed.clock.fast_forward(10 * SECOND)
    show(timed, is_shown=False)
    settle(timed, lambda: bool(site.received), seconds=5)
    timed.goto("/plain")
    settle(timed)

    assert seconds(site) == [10]


def test_each_page_of_a_single_page_app_has_its_own_time(timed, site):
    timed.clock.fast_forward(7 * SECOND)
    timed.evaluate("history.pushState({}, '', '/two')")
    timed.clock.run_for(10)
    settle(timed, lambda: bool(site.received), seconds=5)
    timed.clock.fast_forward(4 * SECOND)
    timed.goto("/plain")
    settle(timed, lambda: len(site.received) > 1, seconds=5)

    assert [(told["path"], told["engaged_seconds"]) for _, told in site.told()] == [
        ("/timed", 7),
        ("/two", 4),
    ]


def test_time_on_page_offline_waits_for_the_browser_to_be_back(timed, site):
    timed.clock.fast_forward(9 * SECOND)
    timed.context.set_offline(True)
    show(timed, is_shown=False)
    waiting = kept_queue(timed)
    timed.context.set_offline(False)
    timed.clock.run_for(2 * SECOND)
    settle(timed, lambda: bool(site.received), seconds=5)

    assert site.ids() == [message["messageId"] for message in waiting]
    assert seconds(site) == [9]


def test_time_on_page_is_not_told_without_consent(page, site):
    site.pages["/asked"] = tag("", times=True)
    page.clock.install()
    page.goto("/asked")
    page.clock.fast_forward(20 * SECOND)
    page.goto("/plain")
    settle(page)

    assert site.received == []
