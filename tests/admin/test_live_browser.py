"""The live debugger in a real browser: by itself, paused, and opened."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.events import pipeline, services
from apps.events.models import EventDefinition
from tests.events.messages import track
from tests.factories.accounts import StaffFactory
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory, RejectedEventFactory, SourceFactory

pytestmark = pytest.mark.django_db(transaction=True)

LIVE = "admin:events_event_live"


@pytest.fixture
def page(chromium, live_server):
    """The live page, and what it complains about."""
    client = Client()
    client.force_login(StaffFactory(username="boss", is_superuser=True))
    context = chromium.new_context(
        base_url=live_server.url, viewport={"width": 1280, "height": 900}
    )
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.complaints = []
    page.on("console", lambda line: line.type == "error" and page.complaints.append(line.text))
    page.on("pageerror", lambda problem: page.complaints.append(str(problem)))
    yield page
    context.close()


@pytest.fixture
def tell():
    source = SourceFactory()

    def send(*messages):
        now = timezone.now()
        services.accept(source=source, is_secret=True, messages=messages, received_at=now)
        pipeline.drain(now=now)

    return send


def test_events_appear_by_themselves_until_the_page_is_paused(page, tell):
    tell(track("Before", userId="u1"))
    page.goto(reverse(LIVE))
    page.get_by_text("Updates by itself.").wait_for()

    tell(track("Quiz Finished", userId="u1"))
    page.locator(".cp-live-row", has_text="Quiz Finished").wait_for()
    page.get_by_role("button", name="Pause").click()
    tell(track("Meanwhile", userId="u1"))
    page.wait_for_timeout(5000)
    shown_while_paused = page.locator(".cp-live-row", has_text="Meanwhile").count()
    page.get_by_role("button", name="Go on").click()
    page.locator(".cp-live-row", has_text="Meanwhile").wait_for()

    names = page.locator(".cp-live-row strong").all_inner_texts()
    assert shown_while_paused == 0
    assert names == ["Meanwhile", "Quiz Finished", "Before"]
    assert page.complaints == []


def test_an_opened_event_shows_all_and_stays_open(page, tell):
    ContactFactory(external_id="u1", email="ada@example.com")
    order = {"order_id": "o1", "total": 22, "note": "<b>bold</b>"}
    tell(track("Order Completed", userId="u1", properties=order))
    page.goto(reverse(LIVE))

    page.locator(".cp-live-row summary").first.press("Enter")
    page.get_by_text("Order o1: completed").wait_for()
    tell(track("Quiz Finished", userId="u1"))
    page.locator(".cp-live-row", has_text="Quiz Finished").wait_for()

    assert page.get_by_text("Order o1: completed").is_visible()
    assert '"note": "<b>bold</b>"' in page.locator(".cp-payload").inner_text()
    assert page.complaints == []


def test_filters_hold_for_what_comes_later(page, tell):
    page.goto(reverse(LIVE))
    page.get_by_label("Event", exact=True).fill("Wanted")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_text("Nothing yet.").wait_for()

    tell(track("Other", userId="u1"), track("Wanted", userId="u1"))
    page.locator(".cp-live-row", has_text="Wanted").wait_for()

    assert page.locator(".cp-live-row").count() == 1
    assert not page.get_by_text("Nothing yet.").is_visible()


def test_a_phone_shows_no_scrollbar_to_the_side(page):
    EventFactory(name="A Very Long Name " * 8, properties={"text": "x" * 3000})
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(reverse(LIVE))
    page.locator(".cp-live-row summary").first.click()
    page.get_by_text("What it held").wait_for()

    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_what_is_ours(page, tell, scheme):
    from axe_playwright_python.sync_playwright import Axe

    EventDefinition.objects.filter(name="Product Viewed").update(choice="flag")
    tell(track(userId="u1", properties={"price": "x"}, messageId="m1"))
    tell(track("Order Completed", userId="u1", properties={"order_id": "o1"}))
    tell(track("Order Completed", userId="u1", properties={"order_id": "o1"}))
    RejectedEventFactory(rejected_at=timezone.now())
    found = {}
    page.emulate_media(color_scheme=scheme)
    for name in (LIVE, "admin:events_eventdefinition_health"):
        page.goto(reverse(name))
        if name == LIVE:
            page.locator(".cp-live-row summary").first.click()
            page.get_by_text("What it held").wait_for()
        response = Axe().run(page, context="#content").response
        found[name] = [
            (one["id"], [node["html"][:120] for node in one["nodes"]])
            for one in response["violations"]
        ]

    assert found == {name: [] for name in found}
