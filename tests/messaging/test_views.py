"""The public links of a mail, as mail programs, people and strangers ask for them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.core import mail
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from apps.consent import services as consent
from apps.consent.models import ConsentRecord, Suppression
from apps.contacts.models import Contact
from apps.events import pipeline
from apps.events import services as events
from apps.events.models import Event, InboxEvent
from apps.messaging import delivery, links, services, views
from apps.messaging.models import Message
from tests.factories.consent import grant
from tests.factories.events import SourceFactory
from tests.factories.messaging import MessageFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db
LINK = re.compile(r'(?:href|src)="[^"]*?(/e/([ocu])/[^"]+)"')
ONE_CLICK = {
    "data": "List-Unsubscribe=One-Click",
    "content_type": "application/x-www-form-urlencoded",
}
SALE = "https://shop.example/sale?utm_source=cuepost&utm_medium=email&utm_campaign="


@pytest.fixture
def message() -> Message:
    """Sent, to somebody who agreed to the mail and to its pixel."""
    message = MessageFactory(contact__email="ada@example.com")
    grant(message.contact, "email_marketing", NOON)
    grant(message.contact, "open_tracking", NOON)
    delivery.deliver(now=NOON, clock=lambda: NOON)
    message.refresh_from_db()
    return message


def path(kind: str) -> str:
    """The open, click or unsubscribe link of the mail that went out."""
    return next(link for link, found in LINK.findall(mail.outbox[0].html) if found == kind)


def engagement() -> list[tuple[str, dict]]:
    """What the event log holds of opens and clicks, once the inbox is worked in."""
    pipeline.drain(now=timezone.now())
    return list(Event.objects.order_by("id").values_list("name", "properties"))


def consents() -> list[tuple[str, str]]:
    records = ConsentRecord.objects.filter(purpose="email_marketing").order_by("id")
    return list(records.values_list("status", "method"))


@contextmanager
def database_down() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise OperationalError("The connection is lost.")

    with connection.execute_wrapper(refuse):
        yield


# --- the pixel ------------------------------------------------------------------------------------


def test_an_open_is_noted_on_the_message(client, message):
    response = client.get(path("o"))

    assert (response.status_code, response["Content-Type"]) == (200, "image/gif")
    assert "no-store" in response["Cache-Control"]
    about = {
        "message_id": str(message.public_id),
        "template": message.template_version.template.key,
    }
    assert engagement() == [("Email Opened", about)]
    message.refresh_from_db()
    assert (message.opened_at, message.clicked_at) == (Event.objects.get().occurred_at, None)


def test_the_first_open_stays_however_often_the_picture_is_loaded(client, message):
    client.get(path("o"))
    engagement()
    message.refresh_from_db()
    opened_at = message.opened_at

    client.get(path("o"))
    engagement()

    message.refresh_from_db()
    assert message.opened_at == opened_at


def test_opens_within_a_minute_count_once(message):
    for seconds in (0, 30, 60):
        now = NOON + timedelta(seconds=seconds)
        services.record_open(public_id=message.public_id, now=now)

    assert len(engagement()) == 2


def test_the_pixel_comes_always_and_notes_only_what_is_ours(client, message):
    token = path("c").rpartition("/")[2]
    responses = [client.get("/e/o/forged"), client.get(f"/e/o/{token}"), client.head(path("o"))]

    assert [response.status_code for response in responses] == [200, 200, 200]
    assert [response.content for response in responses] == [views.PIXEL, views.PIXEL, b""]
    assert not InboxEvent.objects.exists()


def test_the_pixel_comes_while_the_database_is_down(client, message):
    with database_down():
        response = client.get(path("o"))

    assert (response.status_code, response.content) == (200, views.PIXEL)


def test_an_open_of_a_message_that_is_gone_is_nothing_to_tell(client, message):
    Message.objects.all().delete()

    response = client.get(path("o"))

    assert response.content == views.PIXEL
    assert not InboxEvent.objects.exists()


def test_a_browser_s_key_can_not_tell_that_a_mail_was_opened(message):
    told = {
        "type": "track",
        "event": "Email Clicked",
        "anonymousId": "stranger",
        "properties": {"message_id": str(message.public_id)},
        "context": {"consent": {"categoryPreferences": {"tracking": True}}},
    }
    now = timezone.now()

    events.accept(source=SourceFactory(), is_secret=False, messages=[told], received_at=now)

    assert [name for name, _ in engagement()] == ["Email Clicked"]
    message.refresh_from_db()
    assert (message.opened_at, message.clicked_at) == (None, None)


@pytest.mark.parametrize("key", ["", "no uuid", "11111111-2222-3333-4444-555555555555"])
def test_an_open_of_something_else_marks_nothing(message, key):
    now = timezone.now()
    events.record_internal(
        name="Email Opened",
        contact_id=message.contact_id,
        message_id="m1",
        properties={"message_id": key},
        now=now,
    )

    pipeline.drain(now=now)

    message.refresh_from_db()
    assert message.opened_at is None


# --- clicks ---------------------------------------------------------------------------------------


def test_a_click_leads_on_and_counts_as_an_open_as_well(client, message):
    response = client.get(path("c"))

    target = SALE + message.template_version.template.key
    assert (response.status_code, response["Location"]) == (302, target)
    [(name, properties)] = engagement()
    assert (name, properties["url"]) == ("Email Clicked", target)
    message.refresh_from_db()
    at = Event.objects.get().occurred_at
    assert (message.opened_at, message.clicked_at) == (at, at)


def test_a_click_after_an_open_keeps_when_it_was_opened(client, message):
    client.get(path("o"))
    engagement()
    message.refresh_from_db()
    opened_at = message.opened_at

    client.get(path("c"))
    engagement()

    message.refresh_from_db()
    assert message.opened_at == opened_at < message.clicked_at


def test_a_look_ahead_at_a_click_leads_on_and_counts_nothing(client, message):
    response = client.head(path("c"))

    assert response.status_code == 302
    assert not InboxEvent.objects.exists()


def test_a_click_leads_on_while_the_database_is_down(client, message):
    with database_down():
        response = client.get(path("c"))

    assert (response.status_code, urlsplit(response["Location"]).netloc) == (302, "shop.example")


def test_a_click_leads_nowhere_but_to_what_was_signed(client, message):
    token = path("c").rpartition("/")[2]
    payload, _, signature = token.rpartition(":")
    forged = [
        "forged",
        f"{payload[:-2]}xx:{signature}",
        f"{payload}:{signature[:-2]}xx",
        path("o").rpartition("/")[2],
        path("u").rpartition("/")[2],
        "?url=https://evil.example/",
    ]

    responses = [client.get(f"/e/c/{attempt}") for attempt in forged]

    assert {response.status_code for response in responses} == {404}
    assert not any(response.has_header("Location") for response in responses)
    response = client.get(f"{path('c')}?url=https://evil.example/&next=https://evil.example/")
    assert urlsplit(response["Location"]).netloc == "shop.example"


# --- unsubscribing --------------------------------------------------------------------------------


def test_the_page_shows_a_button_and_changes_nothing(client, message):
    responses = [client.get(path("u")), client.head(path("u"))]

    assert [response.status_code for response in responses] == [200, 200]
    page = responses[0].content.decode()
    assert "a…@example.com" in page
    assert '<form method="post">' in page
    assert "ada@example.com" not in page
    assert not client.cookies
    assert consents() == [("granted", "form")]
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(("headers", "is_shown"), [({"Sec-GPC": "1"}, True), ({}, False)])
def test_the_page_confirms_a_browser_s_privacy_signal(client, message, headers, is_shown):
    page = client.get(path("u"), headers=headers).content.decode()

    assert ("We honor your browser's Global Privacy Control signal" in page) is is_shown


@pytest.mark.parametrize(
    ("request_", "method"),
    [
        (ONE_CLICK, "one_click"),
        ({"data": {"List-Unsubscribe": "One-Click"}}, "one_click"),
        ({"data": {}}, "one_click"),
        ({"data": b"\xff=%", "content_type": "text/plain"}, "one_click"),
        ({"data": b"--x", "content_type": "multipart/form-data"}, "one_click"),
        ({"data": {"from-page": "1"}}, "unsubscribe_page"),
    ],
)
def test_a_post_unsubscribes_without_cookies_or_a_form_token(message, request_, method):
    browser = Client(enforce_csrf_checks=True)

    response = browser.post(path("u"), **request_)

    assert response.status_code == 200
    assert "You are unsubscribed" in response.content.decode()
    assert consents() == [("granted", "form"), ("denied", method)]
    assert consent.find_suppression("ada@example.com").reason == "unsubscribed"
    assert ConsentRecord.objects.last().source == f"message {message.public_id}"


def test_unsubscribing_twice_is_as_good_as_once(client, message):
    responses = [client.post(path("u"), **ONE_CLICK) for _ in range(2)]

    assert [response.status_code for response in responses] == [200, 200]
    assert consents() == [("granted", "form"), ("denied", "one_click")]
    assert Suppression.objects.count() == 1


def test_unsubscribing_silences_the_address_that_the_mail_went_to_and_the_new_one(client, message):
    Contact.objects.update(email="new@example.com")

    client.post(path("u"), **ONE_CLICK)

    assert consent.suppressed_among(["ada@example.com", "new@example.com"]) == {
        "ada@example.com",
        "new@example.com",
    }


def test_unsubscribing_somebody_who_has_no_address_any_more_silences_the_old_one(client, message):
    Contact.objects.update(email=None)

    assert "gets no more" not in client.get(path("u")).content.decode()
    client.post(path("u"), **ONE_CLICK)

    assert consent.is_suppressed("ada@example.com")


@pytest.mark.parametrize("verb", ["get", "post"])
def test_unsubscribing_somebody_who_is_gone_is_no_error(client, message, settings, verb):
    address = links.unsubscribe_url(contact_uuid=UUID(int=0), public_id=message.public_id)

    response = getattr(client, verb)(address.removeprefix(settings.BASE_URL))

    assert response.status_code == 200
    assert consents() == [("granted", "form")]


def test_a_forged_token_unsubscribes_nobody(client, message):
    tokens = ["forged", path("o").rpartition("/")[2], path("c").rpartition("/")[2]]

    statuses = [
        send(f"/e/u/{token}").status_code for token in tokens for send in (client.get, client.post)
    ]

    assert set(statuses) == {404}
    assert consents() == [("granted", "form")]
    assert not Suppression.objects.exists()


def test_nobody_is_told_to_be_unsubscribed_while_the_database_is_down(message):
    browser = Client(raise_request_exception=False)

    with database_down():
        response = browser.post(path("u"), **ONE_CLICK)

    assert response.status_code == 500
    assert consents() == [("granted", "form")]


@pytest.mark.parametrize(
    ("kind", "verb"), [("o", "post"), ("c", "post"), ("u", "put"), ("u", "delete")]
)
def test_other_verbs_are_not_allowed(client, message, kind, verb):
    assert getattr(client, verb)(path(kind)).status_code == 405
    assert consents() == [("granted", "form")]
