"""Names that are nobody's, how many one person may have, and how much history follows them."""

from datetime import timedelta

import pytest

from apps.commerce.models import Cart, Order
from apps.contacts.models import Contact, Identity
from apps.core.pseudonyms import hide_browser
from apps.events.models import Event, RejectedEvent
from apps.workflows.models import Enrollment
from tests.events.messages import identify, track
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.workflows import WorkflowVersionFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def notes_of(event):
    return event.context.get("cuepost", {}).get("notes")


def names():
    return set(Identity.objects.values_list("kind", "value"))


# --- blocked ---


@pytest.mark.parametrize("name", ["null", "undefined", "Anonymous", "GUEST", " 0 ", 0, "nil"])
def test_what_is_nobodys_user_id_is_ignored_and_noted(send, name):
    send(track(userId=name, anonymousId="a1"))

    event = Event.objects.get()
    assert (event.contact_id, event.anonymous_id) == (None, hide_browser("a1"))
    assert notes_of(event) == ["blocked userId"]
    assert not Contact.objects.exists()


@pytest.mark.parametrize("email", ["test@shop.example", "TEST@example.com", "null@null.example"])
def test_what_is_nobodys_address_is_ignored_and_noted(send, email):
    send(identify(userId="ada", traits={"email": email}))

    assert notes_of(Event.objects.get()) == ["blocked email"]
    assert names() == {("user_id", "ada")}


def test_two_people_with_the_same_placeholder_stay_two(send):
    send(identify(userId="ada", anonymousId="undefined", traits={"email": "test@test.com"}))
    send(identify(userId="bob", anonymousId="undefined", traits={"email": "test@test.com"}))

    assert sorted(Contact.objects.values_list("external_id", "email")) == [
        ("ada", None),
        ("bob", None),
    ]
    assert notes_of(Event.objects.first()) == ["blocked email", "blocked anonymousId"]


def test_an_event_with_nothing_but_placeholders_is_refused(send):
    send(track(userId="null", anonymousId="undefined"))

    assert RejectedEvent.objects.get().reason == "no_identifier"


def test_what_says_nothing_needs_no_note(send):
    send(track(userId="", anonymousId="a1"), track(userId=None, anonymousId="a1"))

    assert [notes_of(event) for event in Event.objects.all()] == [None, None]


def test_the_list_is_the_shops(send, settings):
    settings.BLOCKED_IDS = ("till-*", "walk-in")

    for name in ("till-7", "Walk-in", "tilly"):
        send(identify(userId=name, anonymousId=f"a-{name}"))
    send(identify(traits={"email": "test@shop.example"}, anonymousId="a1"))

    people = Contact.objects.values_list("external_id", "email")
    assert set(people) == {("tilly", None), (None, "test@shop.example")}


# --- how many ---


def test_a_contact_has_so_many_browsers_at_most(send, settings):
    settings.MAX_BROWSERS_PER_CONTACT = 2
    ada = ContactFactory(external_id="ada")
    for browser in ("a1", "a2"):
        IdentityFactory(contact=ada, value=browser)

    send(identify(userId="ada", anonymousId="a3"), track(userId="ada", anonymousId="a2"))

    identifying, known = Event.objects.order_by("type")
    assert (identifying.contact_id, known.contact_id) == (ada.pk, ada.pk)
    assert notes_of(identifying) == ["too_many_browsers"]
    assert notes_of(known) is None
    assert ("anonymous_id", hide_browser("a3")) not in names()


def test_browsers_of_one_batch_count_together(send, settings):
    settings.MAX_BROWSERS_PER_CONTACT = 2

    send(*(identify(userId="ada", anonymousId=f"a{number}") for number in range(4)))

    browsers = Identity.objects.filter(kind="anonymous_id")
    noted = [notes for event in Event.objects.all() if (notes := notes_of(event))]
    assert (browsers.count(), noted) == (2, [["too_many_browsers"]] * 2)


def test_a_contact_has_so_many_addresses_at_most(send, settings):
    settings.MAX_NAMES_PER_CONTACT = 2
    ada = ContactFactory(external_id="ada", email=None)
    for email in ("one@example.com", "two@example.com"):
        IdentityFactory(contact=ada, kind="email", value=email)

    send(identify(userId="ada", traits={"email": "three@example.com"}))

    ada.refresh_from_db()
    assert ada.email is None
    assert notes_of(Event.objects.get()) == ["too_many_addresses"]


# --- history ---


@pytest.mark.parametrize(("days", "is_adopted"), [(29, True), (31, False)])
def test_history_of_thirty_days_follows_who_identifies(send, days, is_adopted):
    WorkflowVersionFactory(
        definition={
            "key": "cart", "name": "Cart", "trigger": {"event": "Product Added"},
            "trigger_window": "60 days", "steps": [{"wait": "1 hour"}, {"send": "cart-reminder"}],
        }
    )  # fmt: skip
    then = NOON - timedelta(days=days)
    line = {"product_id": "cup", "quantity": 1}
    send(track("Product Added", anonymousId="a1", properties=line), at=then)
    order = {"order_id": "o-1", "total": 5, "products": [line]}
    send(track("Order Completed", anonymousId="a1", properties=order), at=then - timedelta(hours=1))

    send(identify(userId="ada", anonymousId="a1"))

    ada = Contact.objects.get()
    expected = ada.pk if is_adopted else None
    adopted = Event.objects.exclude(type="identify")
    assert set(adopted.values_list("contact_id", flat=True)) == {expected}
    assert set(Cart.objects.filter(status="open").values_list("contact", flat=True)) == {expected}
    assert set(Order.objects.values_list("contact", flat=True)) == {expected}
    assert Enrollment.objects.filter(contact=ada).count() == int(is_adopted)


def test_how_much_history_follows_is_the_shops_choice(send, settings):
    settings.ADOPTED_HISTORY_DAYS = 1
    send(track(anonymousId="a1"), at=NOON - timedelta(days=2))

    send(identify(userId="ada", anonymousId="a1"))

    assert Event.objects.get(type="track").contact_id is None
