"""The admin in a real browser: under its policy, with the keyboard, and on a phone."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from apps.contacts.models import Contact
from apps.core.pages import model_url, object_url
from apps.events.models import InboxEvent
from tests.admin.samples import SAMPLES
from tests.factories.accounts import StaffFactory
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageContentFactory
from tests.factories.workflows import EnrollmentFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture
def browser(chromium: Any, live_server: Any) -> Iterator[Any]:
    """A browser in which a superuser is logged in; it collects what pages complain about."""
    client = Client()
    client.force_login(StaffFactory(username="boss", is_superuser=True))
    context = chromium.new_context(base_url=live_server.url, viewport=DESK)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
    )
    yield context
    context.close()


def open_page(browser: Any, path: str) -> tuple[Any, list[str]]:
    """A page that has come to rest, and its complaints."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda problem: complaints.append(str(problem)))
    page.goto(path)
    page.wait_for_load_state("networkidle")
    return page, complaints


def test_the_pages_run_under_their_policy_without_a_complaint(browser):
    enrollment = EnrollmentFactory()
    grant(enrollment.contact, "email_marketing", NOON)
    content = MessageContentFactory()
    paths = [
        reverse("admin:index"),
        object_url(enrollment.contact),
        f"{object_url(enrollment.contact)}?edit",
        object_url(enrollment.workflow),
        object_url(content.message),
    ]

    complaints = {path: open_page(browser, path)[1] for path in paths}

    assert complaints == {path: [] for path in paths}


def test_a_mail_is_shown_and_its_scripts_do_not_run(browser):
    html = (
        "<html><body><h1>Still here</h1><script>parent.document.title='run'</script>"
        "<img src=x onerror=\"document.body.innerHTML='run'\"></body></html>"
    )
    message = MessageContentFactory(html=html).message

    page, _ = open_page(browser, object_url(message))

    frame = page.frame_locator("iframe.cp-mail")
    frame.get_by_role("heading", name="Still here").wait_for()
    assert "run" not in page.title()
    assert frame.locator("body").inner_text().strip() == "Still here"


def test_clicking_in_a_mail_leads_nowhere_and_counts_nothing(browser):
    message = MessageContentFactory().message
    page, _ = open_page(browser, object_url(message))

    page.frame_locator("iframe.cp-mail").get_by_text("Look").click()
    page.wait_for_load_state("networkidle")

    assert page.frame_locator("iframe.cp-mail").get_by_text("Look").is_visible()
    assert not InboxEvent.objects.exists()


def test_filters_open_with_the_keyboard(browser):
    ContactFactory()
    page, _ = open_page(browser, model_url(Contact))

    page.get_by_role("button", name="Filters").focus()
    page.keyboard.press("Enter")

    page.get_by_role("heading", name="By test contact").wait_for()


def test_the_first_tab_leads_to_the_content(browser):
    page, _ = open_page(browser, reverse("admin:index"))

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "content"


def test_the_menu_opens_on_a_phone(browser):
    page, _ = open_page(browser, reverse("admin:index"))
    page.set_viewport_size(PHONE)
    contacts = page.get_by_role("link", name="Contacts", exact=True)
    before = contacts.is_visible()

    page.get_by_role("button", name="Menu").click()

    contacts.wait_for()
    assert before is False


def test_a_snippet_is_copied_by_its_button(browser):
    browser.grant_permissions(["clipboard-read", "clipboard-write"])
    source = SAMPLES[next(model for model in SAMPLES if model.__name__ == "Source")]()
    page, _ = open_page(browser, object_url(source))

    page.get_by_role("button", name="Copy").first.click()

    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == source.public_key


def test_every_page_fits_a_phone_and_names_its_controls(browser):
    rows = [make() for make in SAMPLES.values()]
    paths = [path for row in rows for path in (model_url(type(row)), object_url(row))]
    page = browser.new_page()
    page.set_viewport_size(PHONE)

    faults = {}
    for path in paths:
        page.goto(path, wait_until="load")
        if found := page.evaluate(FAULTS):
            faults[path] = found

    assert faults == {}


# What goes beyond the screen, headings that are missing or double, and controls without a name.
FAULTS = """() => {
  const found = [];
  const extra = document.documentElement.scrollWidth - innerWidth;
  if (extra > 0) found.push(`${extra} pixels too wide`);
  const titles = document.querySelectorAll("h1").length;
  if (titles !== 1) found.push(`${titles} h1`);
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    const isNamed = field.labels?.length || field.getAttribute("aria-label") || field.title;
    if (!isNamed) found.push(`no name: ${field.name || field.id}`);
  }
  const unnamed = document.querySelectorAll("img:not([alt])");
  for (const image of unnamed) found.push(`no alt: ${image.src}`);
  return found;
}"""
