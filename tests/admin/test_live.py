"""The live debugger: what comes, what is in it, and what came of it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import AccessRecord
from apps.events import debugger, definitions, pipeline, registry, services
from apps.events.models import Event, EventDefinition
from apps.events.registry import Effect, EffectSource
from apps.workflows import services as workflows
from tests.admin.conftest import at_browser
from tests.events.messages import consent, identify, track
from tests.factories.accounts import StaffFactory
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory, RejectedEventFactory, SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

LIVE = "admin:events_event_live"
ROWS = "admin:events_event_live_rows"
SKEWED = {
    "timestamp": "2026-03-02T10:00:00Z",
    "sentAt": "2026-03-02T10:00:30Z",
}


@pytest.fixture
def send(db):
    source = SourceFactory()

    def accept_and_drain(*messages, is_secret=True):
        services.accept(source=source, is_secret=is_secret, messages=messages, received_at=NOON)
        pipeline.drain(now=NOON)

    return accept_and_drain


def member(role):
    user = StaffFactory()
    user.groups.add(Group.objects.get(name=role))
    return at_browser(user)


def page(client, **query):
    return client.get(reverse(LIVE), query).content.decode()


def rows(client, **query):
    return client.get(reverse(ROWS), query)


def detail(client, kind="event", pk=None):
    pk = pk or Event.objects.latest("id").pk
    return client.get(reverse(f"{LIVE}_detail", args=[kind, pk])).content.decode()


# --- the list -----------------------------------------------------------------------------------


def test_an_empty_page_says_what_will_come(staff):
    assert "Nothing yet." in page(staff)


def test_events_and_rejected_ones_stand_together_newest_first(staff):
    EventFactory(name="First", received_at=NOON)
    RejectedEventFactory(rejected_at=NOON + timedelta(seconds=1), payload={"event": "Second"})
    EventFactory(name="Third", received_at=NOON + timedelta(seconds=2))

    content = page(staff)

    assert content.index("Third") < content.index("Second") < content.index("First")
    assert "It named nobody" in content


def test_only_what_is_new_is_told_again(staff):
    first = EventFactory(name="First")
    second = EventFactory(name="Second")
    unused = RejectedEventFactory()

    marks = f"e{first.pk},r{unused.pk}"
    answer = rows(staff, after=first.pk, known=marks)
    nothing = rows(staff, after=second.pk, known=f"{marks},e{second.pk}")

    assert "Second" in answer.content.decode()
    assert "First" not in answer.content.decode()
    assert (nothing.status_code, nothing.content) == (204, b"")


def test_an_event_that_was_committed_late_is_not_missed(staff):
    EventFactory(name="Late")
    shown = EventFactory(name="Shown")

    assert "Late" in rows(staff, after=shown.pk, known=f"e{shown.pk}").content.decode()


def test_nothing_new_is_no_look_at_people(staff):
    event = EventFactory(contact=ContactFactory())
    page(staff)
    before = AccessRecord.objects.count()

    rows(staff, after=event.pk, known=f"e{event.pk}")

    assert AccessRecord.objects.count() == before == 1


def test_filters_pick_by_source_and_name(staff):
    shop, blog = SourceFactory(), SourceFactory()
    EventFactory(name="Apple", source=shop)
    EventFactory(name="Pear", source=shop)
    EventFactory(name="Plum", source=blog)
    RejectedEventFactory(source=blog, payload={"event": "Pear"})

    by_source, by_name = page(staff, source=blog.pk), page(staff, name="Pear")

    assert ("Plum" in by_source, "Apple" in by_source) == (True, False)
    assert by_name.count("<strong>Pear</strong>") == 2
    assert "Apple" not in by_name


def test_filters_find_a_person_by_any_name(staff):
    ada = ContactFactory(email="ada@example.com", external_id="u1")
    EventFactory(name="Hers", contact=ada)
    EventFactory(name="Somebody", anonymous_id="a9")
    RejectedEventFactory(person_keys=["u:u1"], payload={"event": "Refused"})

    by_email, by_id = page(staff, person="ADA@example.com"), page(staff, person="u1")
    by_browser = page(staff, person="a9")

    assert ("Hers" in by_email, "Somebody" in by_email) == (True, False)
    assert ("Hers" in by_id, "Refused" in by_id) == (True, True)
    assert ("Hers" in by_browser, "Somebody" in by_browser) == (False, True)


@pytest.mark.parametrize(
    "query",
    [
        {"source": "x"},
        {"source": "9" * 30},
        {"name": "\x00"},
        {"person": "\x00"},
        {"after": "-1", "known": ",,,"},
        {"after": "1" * 25},
    ],
)
def test_nonsense_in_the_address_is_no_error(staff, query):
    EventFactory()

    assert staff.get(reverse(LIVE), query).status_code == 200
    assert rows(staff, **query).status_code in (200, 204)


def test_the_page_costs_the_same_for_one_event_and_for_fifty(staff):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            page(staff)
        return len(queries)

    EventFactory(contact=ContactFactory())
    RejectedEventFactory()
    one = cost()
    for _ in range(20):
        EventFactory(contact=ContactFactory())
        RejectedEventFactory()

    assert cost() == one


def test_ten_thousand_events_show_the_newest(staff):
    source = SourceFactory()
    EventFactory(source=source)
    Event.objects.bulk_create(
        Event(
            type="track", name=f"N{number}", source=source, message_id=f"x{number}",
            is_trusted=True, received_at=NOON, occurred_at=NOON,
        )
        for number in range(10_000)
    )  # fmt: skip

    content = page(staff)

    assert content.count("data-mark=") == debugger.SHOWN
    assert "N9999" in content


# --- who may look -------------------------------------------------------------------------------


def test_who_may_not_see_events_sees_none(client, db):
    event = EventFactory()
    stranger = at_browser(StaffFactory())

    answers = [
        stranger.get(reverse(LIVE)),
        stranger.get(reverse(ROWS)),
        stranger.get(reverse(f"{LIVE}_detail", args=["event", event.pk])),
        client.get(reverse(ROWS)),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 302]


def test_an_analyst_sees_no_person_and_finds_none(db):
    analyst = member("Analyst")
    ada = ContactFactory(email="ada@example.com", external_id="u1")
    EventFactory(name="Hers", contact=ada, properties={"card": "secret-word"})
    EventFactory(name="Others")

    shown = page(analyst, person="ada@example.com") + detail(analyst)

    assert "ada@example.com" not in page(analyst) + detail(
        analyst, pk=Event.objects.get(name="Hers").pk
    )
    assert "secret-word" not in detail(analyst, pk=Event.objects.get(name="Hers").pk)
    assert "Others" in shown
    assert 'name="person"' not in shown


# --- one event ----------------------------------------------------------------------------------


def test_an_event_shows_what_it_held_and_both_clocks(staff, send):
    send(track("Quiz", userId="u1", properties={"score": {"deep": ["ünï", 3]}}, **SKEWED))

    content = detail(staff)

    assert "&quot;deep&quot;" in content
    assert "ünï" in content
    assert "2 Mar 2026, 10:00:00 UTC" in content
    assert "2 Mar 2026, 10:00:30 UTC" in content
    assert "1 hour behind ours" in content
    assert "2 Mar 2026, 11:59:30 UTC" in content


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (NOON, "in step with ours"),
        (NOON + timedelta(hours=3), "3 hours ahead of ours"),
        (NOON - timedelta(days=2), "2 days behind ours"),
    ],
)
def test_the_skew_of_a_clock_is_told(sent, words):
    event = Event(received_at=NOON, sent_at=sent, original_at=sent, occurred_at=NOON)

    assert debugger.skew_in_words(event) == words


def test_a_late_event_says_so(staff, send):
    send(track("Quiz", userId="u1", timestamp="2026-03-01T12:00:00Z"))

    assert "it came 1 day later" in detail(staff)


def test_mistakes_and_notes_are_told(staff, send):
    EventDefinition.objects.filter(name="Product Viewed").update(choice="flag")
    definitions.forget()
    send(
        track(userId="u1", properties={"price": "x"}, timestamp="2027-01-01T00:00:00Z"),
        is_secret=True,
    )

    content = detail(staff)

    assert "price: wrong_type: text of 1 characters" in content
    assert "ahead; our time counts" in content


def test_a_dropped_event_says_why_nothing_came_of_it(staff, send):
    send(track(anonymousId="a1", context=consent(tracking=False)), is_secret=False)

    assert "Tracking was refused" in detail(staff)
    assert "Refused tracking: nothing was kept" in page(staff)


def test_a_duplicate_leads_to_the_event_that_counts(staff, send):
    order = {"order_id": "o1", "total": 5}
    send(track("Order Completed", userId="u1", messageId="m1", properties=order))
    send(track("Order Completed", userId="u1", messageId="m2", properties=order))

    content = detail(staff)

    counting = Event.objects.get(type="track")
    assert "another event tells the same" in content
    assert reverse("admin:events_event_change", args=[counting.pk]) in content


def test_a_rejected_event_shows_its_reason_and_what_was_sent(staff):
    one = RejectedEventFactory(detail="Give userId.", payload={"event": "Quiz", "answer": 42})

    content = detail(staff, "rejected", one.pk)

    assert "Give userId." in content
    assert "42" in content


@pytest.mark.parametrize("kind", ["event", "rejected", "other"])
def test_what_is_gone_is_not_found(staff, kind):
    url = reverse(f"{LIVE}_detail", args=[kind, 99])

    assert staff.get(url).status_code == 404


# --- what came of it ----------------------------------------------------------------------------


def test_it_says_which_cart_order_and_consent_an_event_changed(staff, send):
    ContactFactory(external_id="u1")
    send(
        track(
            "Order Completed", userId="u1", properties={"order_id": "o1", "total": 22},
            context=consent(tracking=True, email_marketing=True),
        )
    )  # fmt: skip

    content = detail(staff)

    assert "Order o1: completed, 22.00, as the server told it" in content
    assert "email_marketing: yes" in content


def test_it_says_whom_a_workflow_took_in_and_why_not(staff, send):
    workflow = workflows.install_recipe(key="cart-recovery", now=NOON)
    workflows.go_live(workflow=workflow, now=NOON)
    product = {"product_id": "p1", "price": 5, "cart_id": "c1"}
    send(identify(userId="u1", traits={"email": "ada@example.com"}))
    send(track("Product Added", userId="u1", properties=product))
    entered = detail(staff)

    send(track("Product Added", userId="u1", properties=product, timestamp="2026-01-01T00:00:00Z"))
    refused = detail(staff)

    send(track("Quiz", userId="u1"))
    unknown = detail(staff)

    assert "entered because of Product Added" in entered
    assert "did not start" in refused
    assert "No workflow that is switched on starts with “Quiz”" in unknown


def test_an_event_of_nobody_says_what_it_waits_for(staff, send):
    send(track(anonymousId="a1"), is_secret=False)

    assert "It is nobody’s yet." in detail(staff)


def test_effects_are_shown_to_whom_they_may_be_shown(staff, db):
    EventFactory()
    registry.register_effect_source(
        EffectSource("test", "Test", 1, "events.view_event", lambda event: [Effect("It rang")])
    )
    registry.register_effect_source(
        EffectSource("hidden", "Test", 2, "events.view_source", lambda event: [Effect("Hidden")])
    )
    privacy_officer = member("Privacy officer")

    shown, reduced = detail(staff), detail(privacy_officer)
    registry._effect_sources.pop("test")
    registry._effect_sources.pop("hidden")

    assert "It rang" in shown
    assert "Hidden" in shown
    assert "It rang" in reduced
    assert "Hidden" not in reduced


def test_one_look_costs_a_fixed_number_of_questions(staff, send):
    contact = ContactFactory(external_id="u1")
    send(track("Order Completed", userId="u1", properties={"order_id": "o1"}))
    pk = Event.objects.latest("id").pk

    with CaptureQueriesContext(connection) as first:
        detail(staff, pk=pk)
    for number in range(20):
        EventFactory(contact=contact, message_id=f"more-{number}")
    with CaptureQueriesContext(connection) as second:
        detail(staff, pk=pk)

    assert len(first) == len(second) <= 20
