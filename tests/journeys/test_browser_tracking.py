"""What a browser tells, from the page of a shop to the log, by the snippet as it is served."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from apps.consent.models import ConsentRecord
from apps.contacts.models import Contact
from apps.core import services as core
from apps.core.pseudonyms import hide_browser
from apps.demo.services import SOURCE_NAME
from apps.events import services as events
from apps.events import signatures
from apps.events.models import Event, InboxEvent, Source
from tests.factories.contacts import ContactFactory

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 10.0
SIGNAL = "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})"


@pytest.fixture
def source() -> Source:
    return events.create_source(name=SOURCE_NAME, now=timezone.now())[0]


@pytest.fixture
def page(chromium: Any, live_server: Any, source: Source) -> Iterator[Any]:
    """A browser whose visitor has agreed, on the privacy page, which reports nothing of itself."""
    context = chromium.new_context(base_url=live_server.url)
    page = context.new_page()
    visit(page)
    page.evaluate("cuepost.consent({tracking: true}, {method: 'banner'})")
    yield page
    context.close()


def visit(page: Any) -> None:
    page.goto("/demo/privacy/")


def logged(name: str) -> list[Event]:
    core.tick(now=timezone.now())
    return list(Event.objects.filter(name=name).order_by("id"))


def await_arrival(page: Any, name: str) -> None:
    def has_come() -> bool:
        return InboxEvent.objects.filter(payload__event=name).exists() or bool(logged(name))

    wait_for(page, has_come)


def wait_for(page: Any, is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline, "the browser has not sent what it should"
        page.wait_for_timeout(50)


def test_what_happened_offline_is_in_the_log_once(page):
    page.context.set_offline(True)
    page.evaluate("cuepost.cart.added({product_id: 'A-1', price: 24, quantity: 1})")
    page.wait_for_timeout(200)
    page.goto("about:blank")
    page.close()
    page.context.set_offline(False)
    other = page.context.new_page()
    visit(other)
    await_arrival(other, "Product Added")
    visit(other)
    other.wait_for_timeout(300)

    (event,) = logged("Product Added")
    assert event.properties == {"product_id": "A-1", "price": 24, "quantity": 1}
    assert event.anonymous_id == hide_browser(other.evaluate("cuepost.anonymousId()"))


def test_what_is_told_twice_on_leaving_is_in_the_log_once(page):
    page.evaluate("cuepost.track('Left'); dispatchEvent(new Event('pagehide'))")
    visit(page)
    await_arrival(page, "Left")
    page.wait_for_timeout(300)

    assert len(logged("Left")) == 1


def test_time_on_a_page_is_in_the_log(page):
    page.wait_for_timeout(1200)
    page.goto("/demo/")
    await_arrival(page, "Page Engaged")

    (event,) = logged("Page Engaged")
    assert event.properties["engaged_seconds"] in (1, 2, 3)
    assert event.properties["path"] == "/demo/privacy/"


def test_a_signed_user_id_is_believed(page, source):
    contact = ContactFactory(external_id="customer-7", email="ada@example.com")
    signature = signatures.sign("customer-7", signatures.identity_secret(source))
    page.evaluate(
        """(signature) => {
        cuepost.identify("customer-7", {}, {signature});
        cuepost.track("Known");
    }""",
        signature,
    )
    await_arrival(page, "Known")

    assert [event.contact for event in logged("Known")] == [contact]


def test_the_privacy_signal_is_a_no_to_sharing(page):
    page.add_init_script(SIGNAL)
    visit(page)
    page.evaluate("cuepost.identify('customer-8', {email: 'bo@example.com'})")
    page.evaluate("cuepost.track('Known')")
    await_arrival(page, "Known")
    core.tick(now=timezone.now())

    contact = Contact.objects.get(email="bo@example.com")
    (record,) = ConsentRecord.objects.filter(contact=contact, purpose="sale_or_sharing")
    assert (record.status, record.method) == ("denied", "gpc")
