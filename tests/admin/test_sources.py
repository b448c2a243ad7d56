"""Sources with their keys, events, and what could not be used."""

import pytest

from apps.core.hashing import keyed_hash
from apps.core.pages import model_url, object_url
from apps.events import services
from apps.events.models import Event, InboxEvent, RejectedEvent, Source
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.events import EventFactory, RejectedEventFactory, SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

BAD = {"type": "track", "event": "Product Viewed"}
GOOD = {**BAD, "userId": "ada"}


def act_url(row, action):
    return f"{model_url(type(row))}{row.pk}/{action}/"


# --- keys ---


def test_the_secret_key_is_shown_once_and_stored_nowhere(staff):
    answer = staff.post(model_url(Source, "add"), {"name": "Shop"})

    source = Source.objects.get(is_internal=False)
    secret_key = answer.context["secret_key"]
    later = staff.get(object_url(source)).content.decode()
    assert answer.status_code == 200
    assert secret_key in answer.content.decode()
    assert source.secret_key_hash == keyed_hash(secret_key)
    assert secret_key not in later
    assert secret_key not in str(dict(staff.session))
    assert source.public_key in later
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_name_that_is_taken_makes_no_keys(staff):
    SourceFactory(name="Shop")

    answer = staff.post(model_url(Source, "add"), {"name": "Shop"})

    assert "already exists" in answer.content.decode()
    assert Source.objects.filter(is_internal=False).count() == 1


def test_a_new_secret_key_takes_the_place_of_the_old_one(staff):
    source = SourceFactory()

    question = staff.get(act_url(source, "rotate_secret_key"))
    answer = staff.post(act_url(source, "rotate_secret_key"))

    assert "stops working within seconds" in question.content.decode()
    assert services.find_source(source.secret_key) is None
    assert services.find_source(answer.context["secret_key"]) == (source, True)


def test_a_source_is_switched_off_at_once(staff):
    source = SourceFactory(name="Shop")
    assert services.find_source(source.public_key)

    staff.post(f"{object_url(source)}?edit", {"name": "Shop 2"})

    source.refresh_from_db()
    assert (source.name, source.is_active) == ("Shop 2", False)
    assert services.find_source(source.public_key) is None
    assert "Switched off" in staff.get(object_url(source)).content.decode()


def test_the_page_has_the_snippets_ready_to_copy(staff, settings):
    settings.BASE_URL = "https://cuepost.example"
    source = SourceFactory()

    page = staff.get(object_url(source)).content.decode()

    assert "https://cuepost.example/js/cuepost.js" in page
    assert f"data-write-key=&quot;{source.public_key}&quot;" in page.replace('"', "&quot;")
    assert "YOUR_SECRET_KEY" in page
    assert f"script.dataset.writeKey = &quot;{source.public_key}&quot;;" in page


def test_whoever_may_only_look_makes_no_keys(viewer):
    source = SourceFactory()

    page = viewer.get(object_url(source)).content.decode()
    answer = viewer.post(act_url(source, "rotate_secret_key"))

    assert "rotate_secret_key" not in page
    assert answer.status_code == 403
    assert Source.objects.get(pk=source.pk).secret_key_hash == source.secret_key_hash


def test_the_source_of_cuepost_itself_is_not_offered(staff):
    internal = Source.objects.get(is_internal=True)
    SourceFactory(name="Shop")

    page = staff.get(model_url(Source))

    assert [source.name for source in page.context["cl"].result_list] == ["Shop"]
    assert staff.get(object_url(internal)).status_code == 404


# --- events ---


@pytest.mark.parametrize("term", ["ada@example.com", "ADA@example.com", "u-1", "b-1"])
def test_events_are_found_by_any_name_of_their_contact(staff, term):
    contact = ContactFactory(email="ada@example.com", external_id="u-1")
    IdentityFactory(contact=contact, value="b-1")
    event = EventFactory(contact=contact)
    EventFactory(contact=ContactFactory())

    found = staff.get(model_url(Event), {"q": term}).context["cl"].result_list

    assert list(found) == [event]


def test_events_of_an_unknown_browser_are_found_by_its_id(staff):
    event = EventFactory(anonymous_id="b-9")
    EventFactory(anonymous_id="b-10")

    assert list(staff.get(model_url(Event), {"q": "b-9"}).context["cl"].result_list) == [event]


def test_the_events_of_one_contact_can_be_chosen_by_name(staff):
    contact = ContactFactory()
    EventFactory(contact=contact, name="Product Viewed")
    wanted = EventFactory(contact=contact, name="Coupon Used")
    query = {"contact__id__exact": contact.pk}

    offered = staff.get(model_url(Event), query).context["cl"].filter_specs[0].lookup_choices
    found = staff.get(model_url(Event), {**query, "name": "Coupon Used"}).context["cl"].result_list

    assert [name for name, _ in offered] == ["Coupon Used", "Product Viewed"]
    assert list(found) == [wanted]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "Product Viewed", "properties": {"name": "Mug"}}, "Looked at “Mug”"),
        ({"name": "Product Added", "properties": {"sku": "M-1"}}, "Put “M-1” into the cart"),
        ({"name": "Product Removed", "properties": {}}, "Took a product out of the cart"),
        ({"name": "Cart Viewed"}, "Looked at the cart"),
        ({"name": "Product List Viewed"}, "Looked around in the shop"),
        (
            {"name": "Checkout Started", "properties": {"value": 9, "currency": "EUR"}},
            "Started the checkout for 9 EUR",
        ),
        ({"name": "Order Completed", "properties": {"total": 12.5}}, "Ordered for 12.5"),
        ({"name": "Order Refunded"}, "Got an order refunded"),
        (
            {"name": "Page Engaged", "properties": {"engaged_seconds": 40, "path": "/mug"}},
            "Spent 40 seconds on /mug",
        ),
        (
            {"name": "Page Engaged", "properties": {"engaged_seconds": 10**30}},
            "Spent some time on a page",
        ),
        ({"name": "Email Opened"}, "Opened a mail"),
        ({"name": "Email Clicked", "properties": {"url": "/x"}}, "Followed a link in a mail: /x"),
        ({"name": "Coupon Used"}, "Coupon Used"),
        ({"name": "Product Viewed", "properties": {"name": ["odd"]}}, "Looked at a product"),
        ({"type": "page", "name": "", "properties": {"title": "Tea"}}, "Visited Tea"),
        ({"type": "page", "name": "", "properties": {}}, "Visited a page"),
        ({"type": "screen", "name": "Home"}, "Opened the screen Home"),
        ({"type": "identify", "name": ""}, "Said who they are"),
        ({"type": "alias", "name": ""}, "Was recognized under a second ID"),
        ({"type": "group", "name": ""}, "Was put into a group"),
    ],
)
def test_events_are_told_in_words(staff, fields, words):
    EventFactory(**fields)

    assert words in staff.get(model_url(Event)).content.decode()


# --- what could not be used ---


def test_a_rejected_event_says_why_and_shows_what_was_sent(staff):
    rejected = RejectedEventFactory(payload={"type": "track", "event": "Shown"})

    page = staff.get(object_url(rejected)).content.decode()

    assert "It named nobody: neither a user ID nor an anonymous ID." in page
    assert "Shown" in page


def test_an_event_is_replayed_once_its_cause_is_gone(staff):
    rejected = RejectedEventFactory(payload=GOOD)

    question = staff.get(act_url(rejected, "replay"))
    first = staff.post(act_url(rejected, "replay"), follow=True)
    second = staff.post(act_url(rejected, "replay"), follow=True)

    assert "It goes back into the inbox" in question.content.decode()
    assert "back in the inbox" in first.content.decode()
    assert "This event was replayed before." in second.content.decode()
    assert InboxEvent.objects.get().message_id == rejected.message_id


def test_an_event_that_still_can_not_be_used_stays_with_its_reason(staff):
    rejected = RejectedEventFactory(payload=BAD)

    answer = staff.post(act_url(rejected, "replay"), follow=True)

    assert "no_identifier" in answer.content.decode()
    assert RejectedEvent.objects.get().replayed_at is None
    assert not InboxEvent.objects.exists()


def test_many_are_replayed_and_the_others_counted(staff):
    rows = [RejectedEventFactory(payload=payload) for payload in (GOOD, GOOD, BAD)]
    action = {"action": "replay_selected", "_selected_action": [row.pk for row in rows]}

    answer = staff.post(model_url(RejectedEvent), action, follow=True)

    said = [str(message) for message in answer.context["messages"]]
    assert said == ["1 event still can't be used.", "2 events went back into the inbox."]
    assert InboxEvent.objects.count() == 2


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ({"state": "open"}, {"a"}),
        ({"state": "replayed"}, {"b", "c"}),
        ({"reason": "too_deep"}, {"c"}),
    ],
)
def test_rejected_events_are_chosen_by_state_and_reason(staff, query, chosen):
    RejectedEventFactory(message_id="a")
    RejectedEventFactory(message_id="b", replayed_at=NOON)
    RejectedEventFactory(message_id="c", replayed_at=NOON, reason="too_deep")

    found = staff.get(model_url(RejectedEvent), query).context["cl"].result_list

    assert {rejected.message_id for rejected in found} == chosen


def test_whoever_may_only_look_replays_nothing(viewer):
    rejected = RejectedEventFactory(payload=GOOD)

    page = viewer.get(object_url(rejected)).content.decode()
    answer = viewer.post(act_url(rejected, "replay"))

    assert "/replay/" not in page
    assert answer.status_code == 403
    assert not InboxEvent.objects.exists()
