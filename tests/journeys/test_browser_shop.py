"""A shopper in a real browser, from the banner to the mail with the cart they left."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.utils import timezone

from apps.contacts.models import Contact
from apps.core import services as core
from apps.demo.services import SOURCE_NAME
from apps.events import services as events
from apps.events.models import Event, InboxEvent
from apps.messaging.models import Message
from apps.workflows import services as workflows

pytestmark = pytest.mark.django_db(transaction=True)

RECIPE = "cart-recovery-demo"
PATIENCE = 10.0


@pytest.fixture
def page(chromium: Any, live_server: Any) -> Iterator[Any]:
    """A browser on the shop's first page, with the hasty cart reminder switched on."""
    now = timezone.now()
    events.create_source(name=SOURCE_NAME, now=now)
    workflow = workflows.install_recipe(key=RECIPE, now=now)
    workflows.go_live(workflow=workflow, now=now)
    context = chromium.new_context(base_url=live_server.url)
    page = context.new_page()
    page.goto("/demo/")
    yield page
    context.close()


def wait_for(page: Any, is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline, "the browser has not sent what it should"
        page.wait_for_timeout(50)


def answer_banner(page: Any, answer: str) -> None:
    page.get_by_role("button", name=answer, exact=True).click()


def put_into_cart(page: Any, name: str) -> None:
    page.get_by_role("link", name="All", exact=True).click()
    page.get_by_role("link", name=name).last.click()
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_role("heading", name="Your cart").wait_for()


def check_out(page: Any, email: str, *, wants_mail: bool = True) -> None:
    page.get_by_role("link", name="Check out").click()
    page.get_by_label("E-mail").first.fill(email)
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("Send me news").set_checked(wants_mail)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Does it look right?").wait_for()


def stored_names() -> list[str]:
    inbox = [event.payload.get("event", "") for event in InboxEvent.objects.all()]
    return [*inbox, *Event.objects.values_list("name", flat=True)]


def cookies_of(page: Any) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}


def test_rejecting_stores_nothing_personal(page):
    answer_banner(page, "Reject all")
    put_into_cart(page, "Heron teapot")
    page.wait_for_timeout(300)
    core.tick(now=timezone.now())

    cookies = cookies_of(page)
    assert set(cookies) == {"cuepost_consent", "csrftoken", "sessionid"}
    assert cookies["cuepost_consent"] == "tracking:0.personalisation:0"
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert stored_names() == []
    assert not Contact.objects.exists()


def test_ordering_after_rejecting_stores_nothing_personal(page):
    answer_banner(page, "Reject all")
    put_into_cart(page, "Heron teapot")
    check_out(page, "ada@example.com", wants_mail=False)
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("heading", name="Thank you.").wait_for()
    core.tick(now=timezone.now())

    kept = [session.get_decoded() for session in Session.objects.all()]
    events = list(Event.objects.values("name", "contact", "anonymous_id", "context"))
    assert events == [
        {"name": "Order Completed", "contact": None, "anonymous_id": "", "context": {}}
    ]
    assert "ada" not in str([kept, list(Event.objects.values("properties"))]).lower()
    assert not Contact.objects.exists()
    assert not InboxEvent.objects.exists()


def test_both_answers_look_the_same_and_can_be_changed(page):
    accept = page.get_by_role("button", name="Accept all")
    reject = page.get_by_role("button", name="Reject all")
    looks = """element => {
        const style = getComputedStyle(element);
        const box = element.getBoundingClientRect();
        return [box.width, box.height, box.top, style.color, style.backgroundColor,
                style.fontWeight, style.fontSize, style.border];
    }"""
    page.mouse.move(0, 0)
    assert accept.evaluate(looks) == reject.evaluate(looks)

    reject.click()
    page.get_by_role("button", name="Privacy choices").click()
    accept.click()

    assert cookies_of(page)["cuepost_consent"] == "tracking:1.personalisation:1"
    assert page.get_by_role("button", name="Accept all").is_hidden()


def test_cart_left_at_the_checkout_comes_back_as_mail(page):
    answer_banner(page, "Accept all")
    put_into_cart(page, "Heron teapot")
    put_into_cart(page, "Meadow tea")
    check_out(page, "ada@example.com")
    wait_for(page, lambda: stored_names().count("Product Added") == 2)
    page.goto("about:blank")
    now = timezone.now()
    core.tick(now=now)
    core.tick(now=now + timedelta(minutes=2))

    (sent,) = mail.outbox
    html = sent.alternatives[0][0]
    assert sent.to == ["ada@example.com"]
    assert "Heron teapot" in html
    assert "Meadow tea" in html
    assert "/static/demo/products/heron-teapot.png" in html
    assert "Bud vase" not in html
    assert [message.status for message in Message.objects.all()] == [Message.Status.SENT]


def test_cart_that_was_bought_brings_no_mail(page):
    answer_banner(page, "Accept all")
    put_into_cart(page, "Heron teapot")
    check_out(page, "ada@example.com")
    core.tick(now=timezone.now())
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("heading", name="Thank you.").wait_for()
    core.tick(now=timezone.now() + timedelta(minutes=2))

    assert mail.outbox == []
    assert stored_names().count("Order Completed") == 1
