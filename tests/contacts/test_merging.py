"""Two contacts become one, and two again."""

import uuid
from datetime import timedelta

import pytest

from apps.commerce.models import Cart, Order
from apps.consent import erasure
from apps.consent import services as consent
from apps.consent.models import (
    ConsentRecord,
    ConsentState,
    MailPreference,
    PrivacyRequest,
    Purpose,
    Restriction,
    Status,
)
from apps.contacts import merging, services
from apps.contacts.merging import CantMerge
from apps.contacts.models import Contact, Identity, MergeLog
from apps.contacts.registry import NotNow
from apps.events import pipeline
from apps.events import services as events
from apps.events.models import Event
from apps.events.selectors import contacts_with_pending
from apps.messaging.models import Message
from apps.workflows import engine
from apps.workflows.models import Enrollment
from tests.contacts.people import LATER, contact_keys, everything, registered, whose
from tests.events.messages import identify, track
from tests.factories.commerce import CartFactory, CartItemFactory, OrderFactory
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.events import EventFactory, SourceFactory
from tests.factories.messaging import MessageFactory
from tests.factories.workflows import EnrollmentFactory, WorkflowVersionFactory, steps_of
from tests.instants import NOON

pytestmark = pytest.mark.django_db

MAIL = Purpose.EMAIL_MARKETING


@pytest.fixture
def ada():
    return ContactFactory(external_id="ada", email="ada@example.com", first_name="Ada")


@pytest.fixture
def guest():
    return ContactFactory(
        external_id="ada-2", email="countess@example.com", first_name="A.", country="GB",
        attributes={"plan": "gold", "size": "M"},
    )  # fmt: skip


def merge(survivor, merged, now=LATER):
    return merging.merge(survivor_id=survivor.pk, merged_id=merged.pk, by="boss", now=now)


def undo(log, now=LATER + timedelta(hours=1)):
    return merging.undo(log_id=log.pk, by="boss", now=now)


def test_every_table_that_holds_a_contact_says_what_a_merge_does_to_it():
    missing = {(model._meta.label, name) for model, name in contact_keys()} - registered()

    assert missing == set()


# --- the two themselves ---


def test_the_survivors_word_counts_and_the_others_fills_the_gaps(ada, guest):
    ada.attributes = {"plan": "free"}
    ada.save()

    merge(ada, guest)

    ada.refresh_from_db()
    guest.refresh_from_db()
    assert (ada.first_name, ada.email, ada.country) == ("Ada", "ada@example.com", "GB")
    assert ada.attributes == {"plan": "free", "size": "M"}
    assert (guest.merged_into, guest.email, guest.external_id) == (ada, None, None)
    assert (guest.first_name, guest.attributes) == ("", {})
    assert list(Contact.objects.present()) == [ada]


def test_events_find_the_survivor_by_every_name(ada, guest):
    IdentityFactory(contact=guest, value="b-1")
    source = SourceFactory()
    merge(ada, guest)

    calls = [
        track(userId="ada-2"), track(userId="ada"), track(anonymousId="b-1"),
        identify(userId="ada-2", traits={"last_name": "Lovelace"}),
    ]  # fmt: skip
    events.accept(source=source, is_secret=True, messages=calls, received_at=LATER)
    pipeline.drain(now=LATER)

    ada.refresh_from_db()
    assert set(Event.objects.values_list("contact", flat=True)) == {ada.pk}
    assert ada.last_name == "Lovelace"


def test_a_name_that_only_a_column_knew_is_the_survivors_too(ada):
    other = Contact.objects.create(email="only@example.com", external_id="only")

    merge(ada, other)
    source = SourceFactory()
    events.accept(source=source, is_secret=True, messages=[track(userId="only")], received_at=LATER)
    pipeline.drain(now=LATER)

    assert Event.objects.get().contact == ada


def test_staff_who_edit_the_survivor_keep_its_other_names(ada, guest):
    merge(ada, guest)
    ada.refresh_from_db()
    ada.email = "new@example.com"

    services.save_contact(contact=ada, now=LATER)

    emails = ada.identities.filter(kind="email").values_list("value", flat=True)
    assert set(emails) == {"new@example.com", "countess@example.com"}


def test_links_in_old_mails_lead_to_the_survivor(ada, guest):
    merge(ada, guest)

    assert services.find_by_uuid(guest.uuid) == ada
    assert services.find_by_uuid(ada.uuid) == ada
    assert services.find_by_uuid(uuid.uuid4()) is None


@pytest.mark.parametrize("by", ["address", "other address", "uuid"])
def test_staff_finds_the_survivor_by_every_name(ada, guest, by):
    merge(ada, guest)
    name = {"address": " ADA@example.com", "other address": "countess@example.com"}

    assert services.find_by_name(name.get(by, str(guest.uuid))) == ada
    assert services.find_by_name("nobody@example.com") is None
    services.blank(contact_id=ada.pk, now=LATER)
    assert services.find_by_name(name.get(by, str(guest.uuid))) is None


def test_our_own_events_about_the_merged_contact_are_the_survivors(ada, guest):
    events.record_internal(
        name="Email Opened", contact_id=guest.pk, message_id="m1", properties={}, now=NOON
    )
    merge(ada, guest)
    assert contacts_with_pending([ada.pk]) == {ada.pk}

    pipeline.drain(now=LATER)

    assert Event.objects.get().contact == ada


@pytest.mark.parametrize("state", ["same", "merged", "erased", "gone"])
def test_who_is_nobody_is_not_merged(ada, guest, state):
    other = guest
    if state == "same":
        other = ada
    elif state == "merged":
        merge(ContactFactory(), guest)
    elif state == "erased":
        services.blank(contact_id=guest.pk, now=NOON)
    else:
        other = Contact(pk=0)
    before = everything()

    with pytest.raises(CantMerge):
        merge(ada, other)

    assert everything() == before


def test_what_was_merged_into_the_merged_one_follows(ada, guest):
    third = ContactFactory()
    first = merge(guest, third)
    second = merge(ada, guest, now=LATER + timedelta(minutes=1))

    third.refresh_from_db()
    assert third.merged_into == ada
    with pytest.raises(CantMerge, match="Undo the later merge first"):
        undo(first)
    undo(second)
    undo(first)
    assert Contact.objects.present().count() == 3


# --- carts and orders ---


def test_carts_and_orders_move(ada, guest):
    cart = CartFactory(contact=guest, key="c1", is_keyed_by_shop=True)
    order = OrderFactory(contact=guest)

    merge(ada, guest)

    assert (whose("commerce.Cart"), whose("commerce.Order")) == (
        {(cart.pk, ada.pk)},
        {(order.pk, ada.pk)},
    )


def shopping(ada, guest):
    own = CartFactory(contact=ada, is_keyed_by_shop=False, key="cart-own")
    theirs = CartFactory(contact=guest, is_keyed_by_shop=False, key="cart-theirs")
    CartItemFactory(cart=own, product_key="cup", quantity=1)
    CartItemFactory(cart=theirs, product_key="cup", quantity=2)
    CartItemFactory(cart=theirs, product_key="pot", quantity=1)
    return own, theirs


def lines(cart):
    return dict(cart.items.values_list("product_key", "quantity"))


def test_of_two_open_carts_one_takes_in_the_other(ada, guest):
    own, theirs = shopping(ada, guest)

    merge(ada, guest)

    theirs.refresh_from_db()
    assert lines(own) == {"cup": 3, "pot": 1}
    assert (theirs.contact, theirs.status) == (guest, "emptied")


def test_a_cart_gives_back_what_nobody_has_touched_since(ada, guest):
    own, theirs = shopping(ada, guest)
    log = merge(ada, guest)
    own.items.filter(product_key="pot").update(quantity=5)
    CartItemFactory(cart=own, product_key="tea", quantity=1)

    undo(log)

    theirs.refresh_from_db()
    assert lines(own) == {"cup": 1, "pot": 5, "tea": 1}
    assert (lines(theirs), theirs.status) == ({"cup": 2, "pot": 1}, "open")


def test_a_cart_stays_where_its_owner_has_another_by_now(ada, guest):
    cart = CartFactory(contact=guest, is_keyed_by_shop=False)
    log = merge(ada, guest)
    CartFactory(contact=guest, is_keyed_by_shop=False)

    undo(log)

    cart.refresh_from_db()
    assert cart.contact == ada


# --- workflows and mails ---


def test_who_is_in_a_workflow_twice_goes_on_once(ada, guest):
    version = WorkflowVersionFactory()
    own = EnrollmentFactory(version=version, contact=ada)
    double = EnrollmentFactory(version=version, contact=guest)
    other = EnrollmentFactory(contact=guest)

    log = merge(ada, guest)

    rows = Enrollment.objects.order_by("pk").values_list("pk", "contact", "status", "exit_reason")
    assert list(rows.all()) == [
        (own.pk, ada.pk, "live", ""),
        (double.pk, ada.pk, "exited", "merged"),
        (other.pk, ada.pk, "live", ""),
    ]
    undo(log)
    assert list(rows.all()) == [
        (own.pk, ada.pk, "live", ""),
        (double.pk, guest.pk, "live", ""),
        (other.pk, guest.pk, "live", ""),
    ]
    assert steps_of(double) == [("exit", "", "merged"), ("wake", "", "parted")]


def test_a_reminder_is_about_the_cart_that_took_in_the_other(ada, guest):
    own, theirs = shopping(ada, guest)
    enrollment = EnrollmentFactory(
        contact=guest, entry_key=theirs.key, context={"cart_key": theirs.key}
    )
    message = MessageFactory(contact=guest, context={"cart_key": theirs.key})

    log = merge(ada, guest)

    enrollment.refresh_from_db()
    message.refresh_from_db()
    assert (enrollment.entry_key, enrollment.context) == (own.key, {"cart_key": own.key})
    assert (message.contact, message.context) == (ada, {"cart_key": own.key})
    undo(log)
    enrollment.refresh_from_db()
    message.refresh_from_db()
    assert (enrollment.entry_key, enrollment.context) == (theirs.key, {"cart_key": theirs.key})
    assert (message.contact, message.context) == (guest, {"cart_key": theirs.key})


def test_what_moved_on_since_is_not_set_back(ada, guest):
    enrollment = EnrollmentFactory(contact=guest)
    log = merge(ada, guest)
    engine.advance(now=LATER)
    enrollment.refresh_from_db()
    moved_on = enrollment.wake_at

    undo(log)

    enrollment.refresh_from_db()
    assert (enrollment.contact, enrollment.wake_at) == (guest, moved_on)


@pytest.mark.parametrize("status", ["claimed", "sending"])
def test_a_mail_on_its_way_is_waited_for(ada, guest, status):
    MessageFactory(contact=guest, status=status, lease_until=LATER, legal_basis="opt_out")
    before = everything()

    with pytest.raises(NotNow):
        merge(ada, guest)

    assert everything() == before
    assert not MergeLog.objects.exists()


def test_mails_move_and_can_be_sent_to_the_survivor(ada, guest):
    queued = MessageFactory(contact=guest)
    sent = MessageFactory(contact=guest, status="sent", legal_basis="opt_out", sent_at=NOON)

    merge(ada, guest)

    assert whose("messaging.Message") == {(queued.pk, ada.pk), (sent.pk, ada.pk)}
    assert Message.objects.due(LATER).get().contact.email == "ada@example.com"


# --- consents ---


def state_of(contact, purpose=MAIL):
    return ConsentState.objects.filter(contact=contact, purpose=purpose).first()


@pytest.mark.parametrize(
    ("own", "theirs", "merged", "parted"),
    [
        (None, None, None, None),
        (None, grant, "granted", "unsaid"),
        (None, deny, "denied", "unsaid"),
        (grant, None, "granted", "granted"),
        (grant, grant, "granted", "granted"),
        (grant, deny, "denied", "granted"),
        (deny, grant, "denied", "denied"),
        (deny, deny, "denied", "denied"),
    ],
)
def test_a_no_of_either_is_a_no_of_both(ada, guest, own, theirs, merged, parted):
    if own:
        own(ada, MAIL, NOON)
    record = theirs(guest, MAIL, NOON) if theirs else None

    log = merge(ada, guest)

    state = state_of(ada)
    assert (state and state.status) == merged
    if state and state.record.method == "merge":
        assert state.record.evidence == {
            "contact": guest.pk, "record": record.pk, "record_hash": record.record_hash,
        }  # fmt: skip
    undo(log)
    state = state_of(ada)
    assert (state and state.status) == parted
    assert [consent.verify_chain(one) for one in (ada, guest)] == [[], []]
    assert (state_of(guest) and state_of(guest).status) == (theirs and record.status)


def test_sealed_records_stay_with_whom_they_were_made_for(ada, guest):
    record = grant(guest, MAIL, NOON)

    merge(ada, guest)

    assert ConsentRecord.objects.get(pk=record.pk).contact == guest
    assert ConsentRecord.objects.get(contact=ada).method == "merge"


def test_a_yes_that_ends_some_day_is_not_prolonged(ada, guest):
    Purpose.objects.filter(key=MAIL).update(validity_months=24)
    grant(guest, MAIL, NOON)

    merge(ada, guest)

    assert state_of(ada) is None


def test_what_was_said_since_stays(ada, guest):
    grant(ada, MAIL, NOON)
    deny(guest, MAIL, NOON)
    log = merge(ada, guest)
    grant(ada, MAIL, LATER + timedelta(minutes=1))
    deny(ada, MAIL, LATER + timedelta(minutes=2))

    undo(log)

    assert state_of(ada).status == Status.DENIED


def test_an_unsubscribe_ends_what_either_is_in_and_the_undo_takes_it_up_again(ada, guest):
    grant(ada, MAIL, NOON)
    enrollment = EnrollmentFactory(contact=ada)
    deny(guest, MAIL, NOON)

    log = merge(ada, guest)

    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.exit_reason) == ("exited", "consent_withdrawn")
    undo(log)
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.wake_at) == ("live", NOON)


def test_an_unsubscribed_address_stays_silent(ada, guest):
    consent.unsubscribe(contact=ada, method="one_click", source="mail", now=NOON)
    grant(guest, MAIL, NOON)

    merge(ada, guest)

    assert consent.is_suppressed("ada@example.com")


@pytest.mark.parametrize(
    ("own", "theirs", "expected"),
    [
        (None, "weekly", "weekly"), ("all", "weekly", "weekly"), ("weekly", "all", "weekly"),
        ("all", None, "all"), ("all", "all", "all"),
    ],
)  # fmt: skip
def test_who_wants_mail_more_rarely_is_heard(ada, guest, own, theirs, expected):
    for contact, frequency in ((ada, own), (guest, theirs)):
        if frequency:
            MailPreference.objects.create(contact=contact, frequency=frequency, changed_at=NOON)
    before = everything()

    log = merge(ada, guest)

    assert MailPreference.objects.get(contact=ada).frequency == expected
    undo(log)
    assert everything() == before


# --- and back ---


def test_undone_everything_is_as_it_was(ada, guest):
    shopping(ada, guest)
    IdentityFactory(contact=guest, value="b-1")
    EventFactory(contact=guest)
    OrderFactory(contact=guest)
    EnrollmentFactory(contact=guest)
    MessageFactory(contact=guest)
    grant(ada, MAIL, NOON)
    deny(guest, MAIL, NOON)
    before = everything()

    log = merge(ada, guest)
    assert everything() != before
    undo(log)

    assert everything() == before
    log.refresh_from_db()
    assert (log.undone_by, log.undone_at) == ("boss", LATER + timedelta(hours=1))


def test_what_came_in_the_meantime_stays_with_the_survivor(ada, guest):
    old = EventFactory(contact=guest)
    log = merge(ada, guest)
    new = EventFactory(contact=ada)
    IdentityFactory(contact=ada, value="new")
    Contact.objects.filter(pk=ada.pk).update(
        country="FR", attributes={"plan": "silver", "size": "M", "vip": True}
    )

    undo(log)

    ada.refresh_from_db()
    guest.refresh_from_db()
    assert whose("events.Event") == {(old.pk, guest.pk), (new.pk, ada.pk)}
    assert (ada.country, ada.attributes) == ("FR", {"plan": "silver", "vip": True})
    assert (guest.country, guest.attributes) == ("GB", {"plan": "gold", "size": "M"})
    assert Identity.objects.filter(contact=ada, kind="anonymous_id").count() == 1


def test_a_name_that_the_survivor_goes_by_since_stays_theirs(ada, guest):
    log = merge(ada, guest)
    Contact.objects.filter(pk=ada.pk).update(email="countess@example.com")

    undo(log)

    guest.refresh_from_db()
    names = set(ada.identities.values_list("value", flat=True))
    assert guest.email is None
    assert names == {"ada", "ada@example.com", "countess@example.com"}


@pytest.mark.parametrize("state", ["undone", "erased", "parted"])
def test_what_can_not_be_undone_stays_as_it_is(ada, guest, state):
    log = merge(ada, guest)
    if state == "undone":
        undo(log)
    elif state == "erased":
        services.blank(contact_id=ada.pk, now=NOON)
    else:
        Contact.objects.filter(pk=guest.pk).update(merged_into=ContactFactory())
    before = everything()

    with pytest.raises(CantMerge):
        undo(log)

    assert everything() == before


def test_nothing_is_lost_by_a_merge(ada, guest):
    for contact in (ada, guest):
        EventFactory(contact=contact)
        OrderFactory(contact=contact)

    log = merge(ada, guest)

    assert Event.objects.filter(contact=ada).count() == Order.objects.filter(contact=ada).count()
    assert set(log.moves.values_list("table", flat=True)) >= {"events.Event", "commerce.Order"}
    assert Cart.objects.count() == 0


# --- what either asked for under privacy law ---


def ask_for(contact, kind):
    return PrivacyRequest.objects.create(
        contact=contact, kind=kind, status="open", received_at=NOON, due_on=NOON.date(),
        verified_at=NOON,
    )  # fmt: skip


def test_requests_move_and_what_is_restricted_of_one_is_of_both(ada, guest):
    request = ask_for(guest, "export")
    Restriction.objects.create(contact=guest, since=NOON)

    log = merge(ada, guest)

    request.refresh_from_db()
    assert (request.contact, Restriction.objects.get(contact=ada).since) == (ada, NOON)
    undo(log)
    request.refresh_from_db()
    assert (request.contact, Restriction.objects.get().contact) == (guest, guest)


def test_a_restriction_of_the_survivors_own_stays(ada, guest):
    for contact in (ada, guest):
        Restriction.objects.create(contact=contact, since=NOON)

    undo(merge(ada, guest))

    assert Restriction.objects.count() == 2


def test_who_asked_twice_for_the_same_is_answered_first(ada, guest):
    for contact in (ada, guest):
        ask_for(contact, "erase")

    with pytest.raises(NotNow, match="Answer one request first"):
        merge(ada, guest)


def test_a_wish_that_changed_since_stays(ada, guest):
    MailPreference.objects.create(contact=guest, frequency="weekly", changed_at=NOON)
    log = merge(ada, guest)
    MailPreference.objects.filter(contact=ada).update(frequency="all")

    undo(log)

    assert dict(MailPreference.objects.values_list("contact", "frequency")) == {
        ada.pk: "all",
        guest.pk: "weekly",
    }


def test_what_is_erased_of_the_survivor_is_erased_of_whom_it_was_made_of(ada, guest):
    grant(guest, MAIL, NOON)
    merge(ada, guest)

    erasure.finish(erasure=erasure.begin(contact=ada, by="boss", now=LATER), now=LATER)

    assert not MergeLog.objects.exists()
    assert not ConsentRecord.objects.filter(forgotten_at=None).exists()
    assert services.find_present([ada.pk, guest.pk]) == {}
