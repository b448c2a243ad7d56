"""The banner in a real browser, on the demo shop."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from apps.consent.models import AnonymousConsent, Banner
from apps.core.pseudonyms import hide_browser
from apps.demo.services import SOURCE_NAME
from apps.events import services as events
from tests.consent.conftest import PHONE

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 10.0
LOOKS = [
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"color_scheme": "light", "viewport": PHONE},
    {"color_scheme": "dark", "viewport": PHONE},
]
# Chromium has the signal only for those who build it in; what pages see is this.
SIGNAL = "Object.defineProperty(navigator, 'globalPrivacyControl', {get: () => true})"


@pytest.fixture
def open_shop(open_context: Any) -> Callable[..., Any]:
    events.create_source(name=SOURCE_NAME, now=timezone.now())

    def open_one(*, script: str = "", **options: Any) -> Any:
        context = open_context(**options)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.goto("/demo/")
        page.get_by_role("button", name="Reject all").wait_for()
        return page

    return open_one


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def choice_of(page: Any) -> dict[str, bool]:
    return page.evaluate("cuepost.consent()")


def answers(page: Any, count: int) -> list[AnonymousConsent]:
    """What the server has kept, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE
    while AnonymousConsent.objects.count() < count:
        assert time.monotonic() < deadline, "the banner has not told its answer"
        page.wait_for_timeout(50)
    return list(AnonymousConsent.objects.order_by("id"))


def test_accepting_is_remembered_and_recorded(open_shop):
    page = open_shop()

    press(page, "Accept all")
    browser = page.evaluate("cuepost.anonymousId()")
    (kept,) = answers(page, 1)
    page.reload()
    page.wait_for_load_state("networkidle")

    assert choice_of(page) == {"tracking": True, "personalisation": True}
    assert (kept.action, kept.browser) == ("accept_all", hide_browser(browser))
    assert page.get_by_role("button", name="Reject all").is_hidden()


def test_rejecting_stores_no_id_and_names_nobody(open_shop):
    page = open_shop()

    press(page, "Reject all")
    (kept,) = answers(page, 1)
    page.reload()
    page.wait_for_load_state("networkidle")

    names = {cookie["name"] for cookie in page.context.cookies()}
    assert choice_of(page) == {"tracking": False, "personalisation": False}
    assert (kept.action, kept.browser) == ("reject_all", "")
    assert "cuepost_anonymous_id" not in names
    assert page.get_by_role("button", name="Reject all").is_hidden()


def test_choosing_one_by_one_begins_with_nothing_ticked(open_shop):
    page = open_shop()

    press(page, "Choose one by one")
    boxes = page.get_by_role("checkbox")
    ticked = [boxes.nth(number).is_checked() for number in range(boxes.count())]
    page.get_by_role("checkbox", name="Tracking").check()
    press(page, "Save my choice")
    (kept,) = answers(page, 1)

    assert ticked == [False, False]
    assert choice_of(page) == {"tracking": True, "personalisation": False}
    assert kept.action == "custom"


def test_a_yes_can_be_taken_back_by_the_link_in_the_footer(open_shop):
    page = open_shop()
    press(page, "Accept all")
    browser = page.evaluate("cuepost.anonymousId()")
    answers(page, 1)

    press(page, "Privacy choices")
    shown = page.get_by_role("checkbox", name="Tracking").is_checked()
    page.get_by_role("checkbox", name="Tracking").uncheck()
    press(page, "Save my choice")
    kept = answers(page, 2)[-1]

    assert shown is True
    assert choice_of(page) == {"tracking": False, "personalisation": True}
    assert (kept.browser, kept.choice["tracking"]) == (hide_browser(browser), False)
    assert page.evaluate("document.activeElement.textContent") == "Privacy choices"


def test_the_keyboard_alone_opens_answers_and_closes(open_shop):
    page = open_shop()
    names = []
    for _ in range(3):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.shadowRoot.activeElement.textContent"))
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    focused = page.evaluate("document.activeElement.shadowRoot.activeElement.checked")
    page.keyboard.press("Escape")
    is_open = page.get_by_role("button", name="Reject all").is_visible()
    press(page, "Save my choice")
    press(page, "Privacy choices")
    page.keyboard.press("Escape")

    assert names == ["Reject all", "Accept all", "Choose one by one"]
    assert focused is True
    # Without an answer it stays: closing is no choice.
    assert is_open is True
    assert page.get_by_role("button", name="Reject all").is_hidden()


def test_the_browsers_signal_is_honored_for_all_to_see(open_shop):
    Banner.objects.get().purposes.add("sale_or_sharing")
    page = open_shop(script=SIGNAL)

    notice = page.get_by_text("Global Privacy Control").is_visible()
    press(page, "Choose one by one")
    is_fixed = page.get_by_role("checkbox", name="Sale or sharing").is_disabled()
    press(page, "Accept all")
    (kept,) = answers(page, 1)

    assert (notice, is_fixed) == (True, True)
    assert choice_of(page)["sale_or_sharing"] is False
    assert (kept.has_gpc, kept.choice["sale_or_sharing"]) == (True, False)


def test_a_page_without_a_link_gets_a_button(open_shop):
    page = open_shop()
    page.evaluate("document.querySelector('[data-cuepost-choices]').remove()")
    press(page, "Reject all")

    press(page, "Privacy choices")

    page.get_by_role("button", name="Accept all").wait_for()


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark", "light-phone", "dark-phone"])
def test_the_banner_is_accessible_and_fits(open_shop, violations, look):
    page = open_shop(script=SIGNAL, **look)
    shut = violations(page)
    press(page, "Choose one by one")
    opened = violations(page)
    box = page.locator("section.banner").bounding_box()
    size = page.viewport_size

    assert (shut, opened) == ([], [])
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size["width"]
    assert box["height"] <= size["height"]
