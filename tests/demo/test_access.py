"""The shop can be read and used by everybody: contrast, names, narrow screens, keyboard."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from apps.demo.services import SOURCE_NAME
from apps.events import services as events

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = [
    "/demo/",
    "/demo/products/heron-teapot/",
    "/demo/cart/",
    "/demo/checkout/",
    "/demo/privacy/",
]

# WCAG 2.2, 1.4.3: text against the nearest painted background.
FAINT_TEXT = """() => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => {
        const [r, g, b] = channels(color).map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const backdrop = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (channels(color)[3] !== 0) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const hasText = (element) => Array.from(element.childNodes).some(
        (node) => node.nodeType === 3 && node.textContent.trim());
    const faint = [];
    let seen = 0;
    for (const element of document.body.querySelectorAll("*")) {
        if (element.tagName === "SCRIPT" || !hasText(element)) continue;
        if (!element.checkVisibility()) continue;
        seen += 1;
        const pair = [luminance(getComputedStyle(element).color), luminance(backdrop(element))];
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (ratio < 4.5) faint.push([element.textContent.trim(), ratio.toFixed(2)]);
    }
    return [seen, faint];
}"""

NAMELESS = """() => Array.from(document.querySelectorAll("input, select, button, a, img"))
    .filter((element) => element.type !== "hidden" && element.checkVisibility())
    .filter((element) => !element.closest("[aria-hidden=true]"))
    .filter((element) => element.tagName === "IMG"
        ? !element.hasAttribute("alt")
        : !(element.labels && element.labels.length) && !element.textContent.trim()
            && !Array.from(element.querySelectorAll("img")).some((image) => image.alt))
    .map((element) => element.outerHTML)"""


@pytest.fixture(params=["light", "dark"])
def page(request: Any, chromium: Any, live_server: Any) -> Iterator[Any]:
    """A phone with something in the cart."""
    events.create_source(name=SOURCE_NAME, now=timezone.now())
    context = chromium.new_context(
        base_url=live_server.url,
        color_scheme=request.param,
        viewport={"width": 360, "height": 740},
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto("/demo/products/heron-teapot/")
    # By the keyboard: the banner, not answered yet, covers the lower half.
    page.get_by_role("button", name="Add to cart").press("Enter")
    yield page
    context.close()


@pytest.mark.parametrize("path", PAGES)
def test_page_is_readable_and_fits_a_phone(page, path):
    page.goto(path)

    seen, faint = page.evaluate(FAINT_TEXT)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert seen > 10
    assert faint == []
    assert page.evaluate(NAMELESS) == []
    assert width == 360
    assert page.locator("h1").count() == 1


def test_keyboard_alone_answers_the_banner(page):
    page.goto("/demo/")
    page.get_by_role("button", name="Accept all").wait_for()
    passed = []
    while "Accept all" not in passed and len(passed) < 5:
        page.keyboard.press("Tab")
        passed.append(page.evaluate("document.activeElement.shadowRoot?.activeElement.textContent"))
    page.keyboard.press("Enter")

    assert passed[-1] == "Accept all"
    assert page.get_by_role("button", name="Accept all").is_hidden()
