"""How long a mail was read: estimated from repeated loads, or told by the provider."""

from datetime import timedelta

import pytest
from anymail.signals import AnymailTrackingEvent, EventType, tracking
from django.urls import reverse
from django.utils import timezone

from apps.consent.registry import Subject
from apps.messaging import delivery, links, personal, reading, services, wording
from apps.messaging.models import Message, MessageReading
from tests.factories.consent import deny, grant
from tests.factories.messaging import MessageFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
DESKTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
GOOGLE = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.fixture
def message() -> Message:
    """Sent at noon, to somebody who agreed to the mail and to its pixel."""
    message = MessageFactory(contact__email="ada@example.com")
    grant(message.contact, "email_marketing", NOON)
    grant(message.contact, "open_tracking", NOON)
    delivery.deliver(now=NOON, clock=lambda: NOON)
    message.refresh_from_db()
    return message


def load(message: Message, *at: float, client: str = "phone") -> None:
    for offset in at:
        now = NOON + seconds(60 + offset)
        services.record_open(public_id=message.public_id, client=client, now=now)


def estimate(message: Message) -> tuple[int, timedelta]:
    found = MessageReading.objects.get(message=message)
    return found.load_count, found.estimated


def report(message: Message, read_seconds: object, *, user_agent: str = PHONE) -> None:
    """As Postmark tells an open through Anymail."""
    event = AnymailTrackingEvent(
        event_type=EventType.OPENED,
        timestamp=NOON + seconds(60),
        metadata={"message_id": str(message.public_id)},
        user_agent=user_agent,
        esp_event={"RecordType": "Open", "ReadSeconds": read_seconds},
    )
    tracking.send(sender=None, event=event, esp_name="Postmark")


def open_with(client, message: Message, user_agent: str, **headers: str) -> None:
    url = links.open_url(public_id=message.public_id)
    path = url[url.index("/e/o/") :]
    assert client.get(path, headers={"User-Agent": user_agent, **headers}).status_code == 200


# --- the estimate ---------------------------------------------------------------------------------


def test_one_load_says_nothing_about_how_long(message):
    load(message, 0)

    assert estimate(message) == (1, seconds(0))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ([0, 40], 40),
        ([0, 40, 70], 70),
        ([0, 300], 300),
        ([0, 301], 0),
        ([0, 30, 3600, 3620], 50),
        ([40, 0], 0),
    ],
)
def test_loads_close_to_each_other_are_one_stretch_of_reading(message, at, expected):
    load(message, *at)

    assert estimate(message) == (len(at), seconds(expected))


def test_loads_of_different_programs_are_not_taken_together(message):
    load(message, 0, client="phone")
    load(message, 40, client="desktop")
    load(message, 60, client="phone")

    assert estimate(message) == (3, seconds(0))


def test_a_window_that_renews_itself_is_not_read_for_hours(message):
    load(message, *range(0, 3600, 240))

    assert estimate(message)[1] == reading.MOST


def test_what_comes_with_the_delivery_is_a_filter(message):
    for offset in (1, 4):
        now = NOON + seconds(offset)
        services.record_open(public_id=message.public_id, client="filter", now=now)

    assert not MessageReading.objects.exists()


def test_without_consent_nothing_is_estimated(message):
    deny(message.contact, "open_tracking", NOON + seconds(30))

    load(message, 0, 40)
    report(message, 12)

    assert not MessageReading.objects.exists()


def test_a_message_that_is_gone_has_no_reading(message):
    gone = message.public_id
    Message.objects.all().delete()

    services.record_open(public_id=gone, client="phone", now=NOON)
    services.record_reading(public_id=gone, reported=seconds(5), now=NOON)

    assert not MessageReading.objects.exists()


# --- who loads ------------------------------------------------------------------------------------


@pytest.mark.parametrize("user_agent", [PHONE, DESKTOP])
def test_loads_by_a_mail_program_are_counted_under_a_pseudonym(client, message, user_agent):
    Message.objects.update(sent_at=timezone.now() - timedelta(hours=1))

    open_with(client, message, user_agent)
    open_with(client, message, user_agent)

    found = MessageReading.objects.get()
    assert found.load_count == 2
    assert found.estimated > timedelta(0)
    assert found.client.startswith("ip_")
    assert "127.0.0.1" not in found.client


@pytest.mark.parametrize(
    ("user_agent", "headers"),
    [
        ("", {}),
        ("Mozilla/5.0", {}),
        (GOOGLE, {}),
        ("YahooMailProxy; https://help.yahoo.com/", {}),
        ("Googlebot/2.1", {}),
        ("python-requests/2.32", {}),
        (PHONE, {"Sec-Purpose": "prefetch"}),
        (PHONE, {"X-Purpose": "preview"}),
    ],
)
def test_machines_are_left_out(client, message, user_agent, headers):
    Message.objects.update(sent_at=timezone.now() - timedelta(hours=1))

    open_with(client, message, user_agent, **headers)
    open_with(client, message, user_agent, **headers)

    assert not MessageReading.objects.exists()


# --- what providers tell --------------------------------------------------------------------------


def test_what_the_provider_tells_comes_before_the_estimate(message):
    load(message, 0, 40)
    report(message, 12)
    report(message, 7)

    message = Message.objects.select_related("reading").get()
    assert (message.reading.estimated, message.reading.reported) == (seconds(40), seconds(12))
    assert wording.reading_of(message) == "about 12 seconds (as the mail provider tells)"


@pytest.mark.parametrize("told", [None, 0, -3, "12", 12.5, 10**9, [12], True])
def test_what_is_no_time_is_not_kept(message, told):
    report(message, told)

    assert not MessageReading.objects.exists()


def test_what_a_proxy_was_seen_to_read_is_not_kept(message):
    report(message, 12, user_agent=GOOGLE)

    assert not MessageReading.objects.exists()


# --- where it shows -------------------------------------------------------------------------------


def test_the_estimate_shows_as_one(admin_client, message):
    load(message, 0, 40)
    MessageReading.objects.update(client="ip_secret")

    page = admin_client.get(reverse("admin:messaging_message_change", args=[message.pk]))
    person = admin_client.get(reverse("admin:contacts_contact_change", args=[message.contact_id]))

    assert "about 40 seconds (estimate)" in page.content.decode()
    assert "read for about 40 seconds (estimate)" in person.content.decode()
    assert "ip_secret" not in page.content.decode()


def test_nothing_shows_where_nothing_is_known(admin_client, message):
    load(message, 0)

    page = admin_client.get(reverse("admin:messaging_message_change", args=[message.pk]))

    assert "Read for" not in page.content.decode()


# --- whose it is ----------------------------------------------------------------------------------


def test_a_person_gets_it_with_their_mails(message):
    load(message, 0, 40)
    report(message, 12)

    (row,) = personal.read(Subject(contact_id=message.contact_id), NOON)
    assert (row["pixel_loads"], row["read_for_about"]) == (2, 12.0)


def test_erasure_forgets_who_read_and_keeps_the_number(message):
    load(message, 0, 40)

    personal.erase(Subject(contact_id=message.contact_id), NOON + seconds(200), 100)

    assert estimate(message) == (2, seconds(40))
    assert MessageReading.objects.get().client == ""
