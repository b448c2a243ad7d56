"""What is kept of events that say nothing about consent, and the Global Privacy Control."""

import json
from datetime import timedelta

import pytest

from apps.consent.models import ConsentRecord
from apps.contacts.models import Contact
from apps.events import pipeline, registry, services
from apps.events.models import Event
from tests.events.messages import consent, identify, track
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(days=1)


@pytest.fixture
def strict(db):
    """A source of which nobody has said that it asks people itself."""
    return SourceFactory(is_consent_settled=False)


def kept() -> list[str]:
    return list(Event.objects.exclude(type="dropped").order_by("id").values_list("name", flat=True))


@pytest.mark.parametrize("is_secret", [True, False])
@pytest.mark.parametrize("who", [{"userId": "ada"}, {"anonymousId": "b1"}])
def test_of_who_has_never_been_asked_nothing_is_kept(send, strict, who, is_secret):
    send(identify(**who, traits={"email": "ada@example.com"}), sender=strict, is_secret=is_secret)
    send(track(**who, properties={"a": 1}), sender=strict, is_secret=is_secret)

    assert kept() == []
    assert not Contact.objects.exists()
    assert set(Event.objects.values_list("anonymous_id", "contact")) == {("", None)}


@pytest.mark.parametrize(
    ("country", "says", "is_kept"),
    [
        ("DE", None, False),
        ("DE", grant, True),
        ("DE", deny, False),
        ("", None, False),
        ("US", None, True),
        ("US", deny, False),
    ],
)
def test_silence_is_judged_by_what_the_person_said_and_by_their_law(
    send, strict, country, says, is_kept
):
    contact = ContactFactory(external_id="ada", country=country)
    if says:
        says(contact, "tracking", NOON)

    send(track("Seen", userId="ada"), sender=strict, at=LATER)

    assert kept() == (["Seen"] if is_kept else [])


def test_an_event_that_tells_of_a_yes_is_kept_and_so_is_what_follows(send, strict):
    yes = track("First", userId="ada", context=consent(tracking=True))

    send(yes, track("Second", userId="ada"), sender=strict)
    send(track("Third", userId="ada"), sender=strict, at=LATER)

    assert kept() == ["First", "Second", "Third"]
    assert ConsentRecord.objects.get().status == "granted"


def test_a_server_s_order_is_kept_for_the_order_itself(send, strict):
    order = track("Order Completed", userId="ada", properties={"order_id": "o-1"})

    send(order, sender=strict)

    event = Event.objects.get()
    assert (event.name, event.contact, event.anonymous_id) == ("Order Completed", None, "")


def test_history_that_staff_brings_in_is_kept(send, strict):
    send(track("Long ago", userId="ada"), sender=strict, is_backfill=True)

    assert kept() == ["Long ago"]


def test_by_a_setting_events_are_kept_without_anybody(send, strict, settings, monkeypatch):
    settings.TRACKING_WITHOUT_CONSENT = "anonymous"
    seen = []
    monkeypatch.setattr(registry, "_projections", {"x": registry.Projection("x", 1, seen.append)})
    told = {"product_id": "p-1", "price": 12.5, "note": "for Ada", "url": "https://x.example/ada"}

    send(
        track(
            userId="ada",
            anonymousId="b1",
            properties=told,
            context={"ip": "203.0.113.7", "page": {"url": "https://x.example/?u=ada"}},
        ),
        sender=strict,
    )

    event = Event.objects.get()
    assert (event.name, event.contact, event.anonymous_id) == ("Product Viewed", None, "")
    assert (event.properties, event.context) == ({"product_id": "p-1", "price": 12.5}, {})
    assert seen[0].events == []
    assert not Contact.objects.exists()


def test_who_refuses_is_counted_without_a_name_as_well(send, strict, settings):
    settings.TRACKING_WITHOUT_CONSENT = "anonymous"
    contact = ContactFactory(external_id="ada")
    deny(contact, "tracking", NOON)

    send(track("Seen", userId="ada"), sender=strict, at=LATER)

    assert list(Event.objects.values_list("name", "contact")) == [("Seen", None)]


@pytest.mark.parametrize("count", [1, 10])
def test_silence_costs_one_question_a_batch(
    send, strict, count, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(registry, "_projections", {})
    ContactFactory(external_id="ada")
    messages = [track(userId="ada") for _ in range(count)]
    services.accept(source=strict, is_secret=True, messages=messages, received_at=NOON)

    # As many as for any batch, the policy, the tracking plan, and the month's partition.
    with django_assert_num_queries(25):
        pipeline.drain(now=NOON)


# --- Global Privacy Control -----------------------------------------------------------------------


def post(client, source, message, **headers):
    return client.post(
        "/v1/track",
        json.dumps({**message, "writeKey": source.public_key}),
        content_type="text/plain",
        headers=headers,
    )


@pytest.fixture
def ada(send):
    """A contact whose browser is known."""
    send(identify(userId="ada", anonymousId="b1", context=consent(sale_or_sharing=True)))
    return Contact.objects.get()


def said(contact):
    records = ConsentRecord.objects.filter(contact=contact, purpose="sale_or_sharing")
    return list(records.order_by("id").values_list("status", "method"))


def test_a_browser_s_signal_is_an_opt_out_and_confirmed(client, source, ada):
    for name in ("Seen", "Seen again"):
        answer = post(client, source, track(name, anonymousId="b1"), **{"Sec-GPC": "1"})
        pipeline.drain(now=LATER)

    assert answer.json() == {"success": True, "gpc": "honored"}
    assert said(ada) == [("granted", "api"), ("denied", "gpc")]
    assert ConsentRecord.objects.last().source == source.name
    assert kept()[-2:] == ["Seen", "Seen again"]


@pytest.mark.parametrize("value", ["0", "", "yes"])
def test_other_values_are_no_signal(client, source, ada, value):
    answer = post(client, source, track("Seen", anonymousId="b1"), **{"Sec-GPC": value})
    pipeline.drain(now=LATER)

    assert answer.json() == {"success": True}
    assert said(ada) == [("granted", "api")]


def test_the_context_may_tell_the_signal_and_wins_over_a_yes_beside_it(send, ada):
    context = consent(sale_or_sharing=True)
    context["consent"]["gpc"] = True

    send(track("Seen", userId="ada", context=context), at=LATER)

    assert said(ada) == [("granted", "api"), ("denied", "gpc")]


def test_a_server_s_own_header_says_nothing_of_its_customers(client, source, ada):
    message = {**track("Seen", userId="ada"), "writeKey": source.secret_key}

    client.post(
        "/v1/track",
        json.dumps(message),
        content_type="application/json",
        headers={"Sec-GPC": "1"},
    )
    pipeline.drain(now=LATER)

    assert said(ada) == [("granted", "api")]


def test_settings_confirm_the_signal_to_the_page(client, source):
    path = f"/v1/projects/{source.public_key}/settings"

    plain, signaled = client.get(path), client.get(path, headers={"Sec-GPC": "1"})

    assert "gpc" not in plain.json()
    assert signaled.json()["gpc"] == "honored"
    assert "Sec-GPC" in signaled["Vary"]


@pytest.mark.parametrize(
    ("told", "is_kept"), [({"consent": "1"}, True), ({"consent": "0"}, False), ({}, False)]
)
def test_a_pixel_tells_whether_its_page_has_asked(client, strict, told, is_kept):
    client.get("/track", {"event": "Seen", "anonymous_id": "b1", "key": strict.public_key, **told})
    pipeline.drain(now=LATER)

    assert kept() == (["Seen"] if is_kept else [])
