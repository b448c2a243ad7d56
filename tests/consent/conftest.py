"""Pages in a real browser, light and dark, on a desk and on a phone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def open_context(chromium: Any, live_server: Any, settings: Any) -> Iterator[Callable[..., Any]]:
    """Makes browsers that close with the test; links in mails lead to this server."""
    settings.BASE_URL = live_server.url
    contexts = []

    def open_one(**options: Any) -> Any:
        context = chromium.new_context(base_url=live_server.url, **{"viewport": DESK, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        return context

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def violations() -> Callable[[Any], list[str]]:
    """What axe finds wrong with a page as it stands, in all of its rules."""
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()

    def ask(page: Any) -> list[str]:
        found = axe.run(page).response["violations"]
        return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]

    return ask
