"""What waits, what is sent again, and what is not: in a real browser."""

from typing import Any

import pytest

from tests.snippet.site import await_names, kept_queue, settle


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


def test_what_happens_offline_is_delivered_once_when_the_browser_is_back(page, site):
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true})")
    page.context.set_offline(True)
    page.evaluate("cuepost.cart.added({product_id: 'A-1'}); cuepost.track('Second')")
    settle(page)
    waiting = kept_queue(page)
    page.context.set_offline(False)
    await_names(page, site, ["Product Added", "Second"])
    settle(page)
    page.goto("/quiet")
    settle(page)

    assert site.ids() == [message["messageId"] for message in waiting]
    assert kept_queue(page) == []


def leave(page: Any) -> None:
    """Close a tab, with whatever it does at its end done before the next step."""
    page.goto("about:blank")
    page.close()


def test_what_a_closed_tab_has_left_is_delivered_by_the_next(page, site):
    page.goto("/quiet")
    page.evaluate("cuepost.consent({tracking: true})")
    page.context.set_offline(True)
    page.evaluate("cuepost.track('Left')")
    settle(page)
    waiting = kept_queue(page)
    leave(page)
    page.context.set_offline(False)
    other = page.context.new_page()
    other.goto("/quiet")
    settle(other, lambda: bool(site.received), seconds=5)
    settle(other)

    # The browser may have finished what the closed tab had begun: by its ID that counts once.
    assert set(site.ids()) == {message["messageId"] for message in waiting}
    assert kept_queue(other) == []


def test_two_tabs_keep_each_others_events(page, site):
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto("/quiet")
        tab.evaluate("cuepost.consent({tracking: true})")
    page.context.set_offline(True)
    for tab, name in ((page, "A"), (other, "B"), (page, "C")):
        tab.evaluate(f"cuepost.track('{name}')")
        settle(tab)

    assert [message["event"] for message in kept_queue(page)] == ["B", "A", "C"]


def test_what_is_too_old_for_the_server_to_know_it_is_not_sent(page, site):
    page.goto("/quiet")
    page.evaluate("""
        cuepost.consent({tracking: true});
        localStorage.cuepost_queue = JSON.stringify([["Old", 31], ["Young", 29]].map(
            ([event, days]) => ({
                type: "track", event, messageId: event,
                timestamp: new Date(Date.now() - days * 86400 * 1000).toISOString(),
            })));
    """)
    page.goto("/quiet")
    await_names(page, site, ["Young"])
    settle(page)

    assert site.names() == ["Young"]
    assert kept_queue(page) == []
