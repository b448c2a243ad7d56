"""No table holds the ID that a browser's cookie has, nor an IP address."""

import importlib

import pytest
from django.apps import apps
from django.db import connection

from apps.contacts.models import Identity
from apps.core.pseudonyms import hide_browser, hide_ip
from apps.events import pipeline, services
from apps.events.messages import check
from apps.events.models import Event, InboxEvent, RejectedEvent
from tests.events.messages import identify, track
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory, RejectedEventFactory
from tests.instants import NOON

BROWSER = "6f1b2c3d-0000-4000-8000-0123456789ab"
ADDRESS = "203.0.113.7"
CONTEXT = {"ip": ADDRESS, "locale": "de", "traits": {"anonymousId": BROWSER}}
TABLES = [
    "events_inboxevent", "events_rejectedevent", "events_event", "contacts_identity",
    "commerce_cart", "commerce_order",
]  # fmt: skip


def whole_tables() -> str:
    texts = []
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT row_to_json(one)::text FROM {table} AS one")  # noqa: S608 -- names of ours
            texts += [text for (text,) in cursor.fetchall()]
    return "\n".join(texts)


def events_of_a_browser() -> list[dict]:
    return [
        track("Product Added", anonymousId=BROWSER, context=CONTEXT, properties={"product_id": 1}),
        {"type": "alias", "anonymousId": BROWSER, "previousId": BROWSER},
        identify(anonymousId=BROWSER, traits={"email": "ada@example.com"}, context=CONTEXT),
        track("Order Completed", anonymousId=BROWSER, properties={"order_id": "o-1"}),
        {"type": "nothing known", "anonymousId": BROWSER, "context": CONTEXT},
    ]


@pytest.mark.parametrize("is_secret", [True, False])
def test_no_table_holds_a_browser_or_an_address(source, is_secret):
    services.accept(
        source=source, is_secret=is_secret, messages=events_of_a_browser(), received_at=NOON
    )
    waiting = whole_tables()
    if is_secret:
        # The one exception, for as long as it waits: it might name a user.
        for told in (f'"previousId": "{BROWSER}"', f'"u:{BROWSER}"'):
            waiting = waiting.replace(told, "")

    pipeline.drain(now=NOON)

    for text in (waiting, whole_tables()):
        assert BROWSER not in text
        assert ADDRESS not in text
        assert hide_browser(BROWSER) in text
    assert Event.objects.get(name="Product Added").context == {
        "ip": hide_ip(ADDRESS),
        "locale": "de",
        "traits": {"anonymousId": hide_browser(BROWSER)},
    }


def test_a_number_is_the_same_browser_as_its_text():
    assert check(track(anonymousId=77)).person_keys == check(track(anonymousId=" 77 ")).person_keys


def test_what_is_no_id_still_is_none(source):
    messages = [track(anonymousId="null"), track(anonymousId="x" * 201)]

    accepted = services.accept(source=source, is_secret=False, messages=messages, received_at=NOON)

    assert accepted.rejected == [(0, "no_identifier"), (1, "id_too_long")]


def test_a_replayed_event_is_the_same_browsers(source):
    rejected = RejectedEventFactory(
        source=source, is_secret=False, payload=check(track(anonymousId=BROWSER)).payload
    )
    rejected.payload = track(anonymousId=hide_browser(BROWSER))

    event = services.replay(rejected=rejected, now=NOON)

    assert event.person_keys == [f"a:{hide_browser(BROWSER)}"]


def test_part_of_an_unreadable_event_shows_no_browser(client, source):
    body = f'{{"batch": [{{"anonymousId": "{BROWSER}", "context": {{"ip":"{ADDRESS}"}}, x]}}'
    broken = body.replace("x]", '"event": "\\ud800"}]')

    client.post(f"/v1/batch?writeKey={source.public_key}", broken, content_type="application/json")

    stored = whole_tables()
    assert RejectedEvent.objects.count() == 1
    assert BROWSER not in stored
    assert ADDRESS not in stored


def test_what_an_older_version_has_stored_is_hidden_once(source):
    contact = ContactFactory()
    Identity.objects.create(
        contact=contact, kind=Identity.Kind.ANONYMOUS_ID, value=BROWSER, linked_at=NOON
    )
    event = EventFactory(source=source, context={"ip": ADDRESS})
    Event.objects.update(anonymous_id=BROWSER)
    raw = track(anonymousId=BROWSER, context={"ip": ADDRESS})
    services.accept(source=source, is_secret=False, messages=[raw], received_at=NOON)
    fresh = InboxEvent.objects.values("person_keys", "shard", "payload").get()
    InboxEvent.objects.update(payload=raw, person_keys=[f"a:{BROWSER}"], shard=0)
    RejectedEventFactory(source=source, payload=raw, person_keys=[f"a:{BROWSER}"])
    migrate = [
        importlib.import_module(f"apps.{app}.migrations.0002_hide_browsers").hide
        for app in ("contacts", "events", "commerce")
    ]

    for _ in range(2):
        for hide in migrate:
            hide(apps, None)

    assert BROWSER not in whole_tables()
    assert ADDRESS not in whole_tables()
    assert InboxEvent.objects.values("person_keys", "shard", "payload").get() == fresh
    event.refresh_from_db()
    assert (event.anonymous_id, event.context) == (hide_browser(BROWSER), {"ip": hide_ip(ADDRESS)})
