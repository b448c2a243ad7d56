"""What providers report through their webhooks, and what becomes of mail and address."""

import base64
import importlib
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason, tracking
from django.test import Client
from django.urls import clear_url_caches

from apps.consent import services as consent
from apps.consent.models import ConsentState
from apps.messaging import delivery, ledger
from apps.messaging.models import Message
from apps.messaging.transport import Answer, Outcome
from config import urls
from tests.factories.consent import grant
from tests.factories.messaging import MessageFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db
SECRET = "anymail:correct horse"
HOUR = timedelta(hours=1)
LATER = NOON + HOUR


def mount(settings, anymail: dict[str, str]) -> None:
    settings.ANYMAIL = anymail
    importlib.reload(urls)
    clear_url_caches()


@pytest.fixture
def webhooks(settings) -> Iterator[None]:
    """An installation that has a secret for its provider."""
    mount(settings, {"WEBHOOK_SECRET": SECRET})
    yield
    mount(settings, {})


def sent_message(**fields: object) -> Message:
    message = MessageFactory()
    grant(message.contact, "email_marketing", NOON)
    delivery.deliver(now=NOON, clock=lambda: NOON)
    if fields:
        Message.objects.update(**fields)
    message.refresh_from_db()
    return message


def post(client: Client, provider: str, payload: object, secret: str = SECRET) -> int:
    basic = base64.b64encode(secret.encode()).decode()
    return client.post(
        f"/webhooks/esp/{provider}/tracking/",
        payload,
        content_type="application/json",
        headers={"Authorization": f"Basic {basic}"},
    ).status_code


def postmark(message: Message, record: str, **more: object) -> dict[str, object]:
    """As Postmark's documentation shows it."""
    return {
        "RecordType": record,
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Recipient": message.contact.email,
        "Email": message.contact.email,
        "Metadata": {"message_id": str(message.public_id)},
        "BouncedAt": LATER.isoformat(),
        "Details": "smtp;550 5.1.1 no such user",
        **more,
    }


def brevo(message: Message, event: str) -> dict[str, object]:
    """As Brevo's documentation shows it."""
    return {
        "event": event,
        "email": message.contact.email,
        "ts_epoch": int(LATER.timestamp() * 1000),
        "message-id": "<201798300811.5787683@relay.example>",
        "X-Mailin-custom": json.dumps({"message_id": str(message.public_id)}),
        "reason": "as the server said",
    }


def fate(message: Message) -> tuple[str, str]:
    message.refresh_from_db()
    return message.status, message.reason


def silence(message: Message) -> str:
    """Why the address is silent, if it is."""
    found = consent.find_suppression(message.contact.email)
    return found.reason if found else ""


def consents(message: Message) -> list[str]:
    states = ConsentState.objects.filter(contact=message.contact, purpose="email_marketing")
    return list(states.values_list("status", flat=True))


# --- who may tell ---------------------------------------------------------------------------------


def test_without_a_secret_nobody_can_tell_us_anything(client):
    message = sent_message()

    status = post(client, "postmark", postmark(message, "SpamComplaint", Type="SpamComplaint"))

    assert status == 404
    assert (fate(message), silence(message)) == (("sent", ""), "")


@pytest.mark.parametrize("secret", ["anymail:wrong", ""])
@pytest.mark.usefixtures("webhooks")
def test_with_the_wrong_secret_nobody_is_heard(client, secret):
    message = sent_message()

    status = post(client, "postmark", postmark(message, "SpamComplaint"), secret=secret)

    assert status == 400
    assert (fate(message), silence(message)) == (("sent", ""), "")


# --- what is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "more", "becomes", "silent"),
    [
        ("Delivery", {}, ("delivered", ""), ""),
        ("Bounce", {"Type": "HardBounce"}, ("bounced", "bounced"), "bounced"),
        ("Bounce", {"Type": "SoftBounce"}, ("bounced", "soft_bounced"), ""),
        ("Bounce", {"Type": "VirusNotification"}, ("bounced", "soft_bounced"), ""),
        ("Bounce", {"Type": "Transient"}, ("sent", "deferred"), ""),
        ("Bounce", {"Type": "BadEmailAddress"}, ("bounced", "bounced"), "bounced"),
        ("Bounce", {"Type": "Blocked"}, ("failed", "provider_failed"), ""),
        ("Bounce", {"Type": "SMTPApiError"}, ("failed", "provider_failed"), ""),
        ("Bounce", {"Type": "AutoResponder"}, ("sent", ""), ""),
        ("SpamComplaint", {"Type": "SpamComplaint"}, ("complained", "complained"), "complained"),
        (
            "SubscriptionChange",
            {"SuppressSending": True, "SuppressionReason": "ManualSuppression"},
            ("sent", ""),
            "unsubscribed",
        ),
        ("Open", {}, ("sent", ""), ""),
    ],
)
@pytest.mark.usefixtures("webhooks")
def test_postmark_tells_what_became_of_a_mail(client, record, more, becomes, silent):
    message = sent_message()

    status = post(client, "postmark", postmark(message, record, **more))

    assert status == 200
    assert (fate(message), silence(message)) == (becomes, silent)
    is_withdrawn = silent in ("complained", "unsubscribed")
    assert consents(message) == ["denied" if is_withdrawn else "granted"]


@pytest.mark.parametrize(
    ("event", "becomes", "silent"),
    [
        ("request", ("sent", ""), ""),
        ("hard_bounce", ("bounced", "bounced"), "bounced"),
        ("invalid_email", ("bounced", "bounced"), "bounced"),
        ("soft_bounce", ("bounced", "soft_bounced"), ""),
        ("blocked", ("failed", "provider_failed"), ""),
        ("error", ("failed", "provider_failed"), ""),
        ("deferred", ("sent", "deferred"), ""),
        ("complaint", ("complained", "complained"), "complained"),
        ("unsubscribe", ("sent", ""), "unsubscribed"),
    ],
)
@pytest.mark.usefixtures("webhooks")
def test_brevo_tells_what_became_of_a_mail(client, event, becomes, silent):
    message = sent_message()

    status = post(client, "brevo", brevo(message, event))

    assert status == 200
    assert (fate(message), silence(message)) == (becomes, silent)


@pytest.mark.usefixtures("webhooks")
def test_a_bounce_keeps_what_the_server_said_and_when(client):
    message = sent_message()

    post(client, "postmark", postmark(message, "Bounce", Type="HardBounce"))

    message.refresh_from_db()
    assert message.reason_values == {"answer": "smtp;550 5.1.1 no such user"}
    assert (message.sent_at, message.closed_at) == (NOON, LATER)


@pytest.mark.usefixtures("webhooks")
@pytest.mark.parametrize("record", ["SpamComplaint", "SubscriptionChange"])
@pytest.mark.parametrize(
    "metadata",
    [{}, {"message_id": "7"}, {"message_id": "11111111-2222-3333-4444-555555555555"}, None],
)
def test_mails_of_others_are_not_ours_to_settle(client, record, metadata):
    message = sent_message()

    about = {"Metadata": metadata} if metadata is not None else {}
    status = post(client, "postmark", {"RecordType": record, "ReceivedAt": "now", **about})

    assert status == 200
    assert (fate(message), silence(message)) == (("sent", ""), "")


# --- in whatever order ----------------------------------------------------------------------------


def tell(message: Message, event_type: str, **more: object) -> None:
    """As Anymail does, whoever the provider is."""
    event = AnymailTrackingEvent(
        event_type=event_type,
        metadata={"message_id": str(message.public_id)},
        timestamp=LATER,
        **more,
    )
    tracking.send(sender=None, event=event, esp_name="any")


@pytest.mark.parametrize(
    ("event_type", "becomes"),
    [
        (EventType.QUEUED, ("sent", "")),
        (EventType.SENT, ("sent", "")),
        (EventType.OPENED, ("sent", "")),
        (EventType.CLICKED, ("sent", "")),
        (EventType.UNSUBSCRIBED, ("sent", "")),
        (EventType.DELIVERED, ("delivered", "")),
        (EventType.DEFERRED, ("sent", "deferred")),
        (EventType.UNKNOWN, ("in_doubt", "worker_lost")),
    ],
)
def test_a_provider_that_knows_our_key_ends_the_doubt(event_type, becomes):
    message = sent_message(status="in_doubt", reason="worker_lost", sent_at=None)

    tell(message, event_type)

    assert fate(message) == becomes
    assert message.sent_at == (None if becomes[0] == "in_doubt" else NOON)


@pytest.mark.parametrize(
    ("reason", "becomes", "silent"),
    [
        (RejectReason.BOUNCED, ("bounced", "bounced"), "bounced"),
        (RejectReason.SPAM, ("complained", "complained"), "complained"),
        (RejectReason.UNSUBSCRIBED, ("failed", "provider_failed"), "unsubscribed"),
        (RejectReason.TIMED_OUT, ("failed", "provider_failed"), ""),
        (None, ("failed", "provider_failed"), ""),
    ],
)
def test_whom_a_provider_keeps_silent_we_keep_silent_as_well(reason, becomes, silent):
    message = sent_message()

    tell(message, EventType.REJECTED, reject_reason=reason)

    assert (fate(message), silence(message)) == (becomes, silent)


@pytest.mark.parametrize(
    "raw",
    [
        {"event": "soft_bounce"},
        {"event": "bounce", "type": "blocked"},
        {"data": {"type": "soft_bounced"}},
        {"bounce": {"bounceType": "Transient"}},
        {"event": "bounce", "hard_bounce": False},
        {"msys": {"message_event": {"bounce_class": "22"}}},
    ],
)
def test_a_full_mailbox_is_no_dead_address_whatever_a_provider_calls_it(raw):
    message = sent_message()

    tell(message, EventType.BOUNCED, reject_reason=RejectReason.BOUNCED, esp_event=raw)

    assert (fate(message), silence(message)) == (("bounced", "soft_bounced"), "")


def test_a_hard_bounce_may_follow_a_soft_one_and_comes_once():
    message = sent_message()
    tell(message, EventType.BOUNCED, esp_event={"Type": "SoftBounce"})

    tell(message, EventType.BOUNCED, description="gone")
    tell(message, EventType.BOUNCED, description="gone again")

    assert (fate(message), silence(message)) == (("bounced", "bounced"), "bounced")
    assert message.reason_values == {"answer": "gone"}


def test_what_comes_late_does_not_undo_what_is_known():
    message = sent_message(status="delivered")

    for event_type in (EventType.DEFERRED, EventType.SENT, EventType.FAILED):
        tell(message, event_type)

    assert fate(message) == ("delivered", "")


def test_an_answer_that_follows_the_webhook_adds_only_the_provider_s_id():
    message = MessageFactory()
    grant(message.contact, "email_marketing", NOON)
    [(letter, _)] = delivery._pass_gate(ledger.claim(now=NOON, limit=1), NOON)
    tell(message, EventType.DEFERRED, description="451 later")

    answer = Answer(Outcome.ACCEPTED, provider_id="p-1")
    ledger.record([delivery._result(letter, answer, NOON)])

    assert fate(message) == ("sent", "deferred")
    assert (message.provider_id, message.reason_values) == ("p-1", {"answer": "451 later"})


@pytest.mark.parametrize("metadata", [None, [], "text", {"message_id": 7}])
def test_a_provider_may_send_anything_in_the_place_of_our_key(metadata):
    message = sent_message()
    event = AnymailTrackingEvent(event_type=EventType.COMPLAINED, metadata=metadata)

    tracking.send(sender=None, event=event, esp_name="any")

    assert fate(message) == ("sent", "")


def test_an_unsubscription_silences_the_address_that_the_mail_went_to():
    message = sent_message(email="old@example.com")

    tell(message, EventType.UNSUBSCRIBED)

    assert silence(message) == "unsubscribed"
    assert consent.find_suppression("old@example.com").reason == "unsubscribed"
