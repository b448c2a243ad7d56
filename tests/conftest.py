"""What every test may use: a browser, where there is one, and nothing kept from the test before."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

# Playwright's loop runs in the test's own thread, where Django would take it for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium from the system's packages."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed (apt-get install chromium).")
    from django.db import connections
    from playwright.sync_api import sync_playwright

    # Inside Playwright's loop Django keeps connections of their own; those of the one side would
    # outlive the database on the other.
    connections.close_all()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
        connections.close_all()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Write keys and fields are kept in the process for some seconds; a test's are gone sooner."""
    from apps.contacts import fields
    from apps.events import definitions
    from apps.events import services as events

    events.forget_keys()
    fields.forget()
    definitions.forget()
    yield
    events.forget_keys()
    fields.forget()
    definitions.forget()
