"""Whom events take for one person: two who are known are only suggested, a guest is merged."""

from datetime import timedelta

import pytest

from apps.contacts import suggestions
from apps.contacts.models import Contact, Identity, MergeLog, MergeSuggestion
from apps.core.pseudonyms import hide_browser
from apps.core.services import tick
from apps.events.models import Event
from tests.events.messages import identify, track
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.events import EventFactory
from tests.factories.messaging import MessageFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(minutes=5)


@pytest.fixture
def ada():
    return ContactFactory(external_id="ada", email="ada@example.com")


@pytest.fixture
def bob():
    return ContactFactory(external_id="bob", email="bob@example.com")


def alias(user_id, previous_id, **fields):
    return {"type": "alias", "userId": user_id, "previousId": previous_id, **fields}


def suggested():
    return [
        (row.contact, row.other, row.reason, row.count, row.status)
        for row in MergeSuggestion.objects.order_by("id")
    ]


# --- two who are known ---


@pytest.mark.parametrize(
    "call",
    [
        identify(userId="ada", traits={"email": "bob@example.com"}),
        track(userId="ada", context={"traits": {"email": "bob@example.com"}}),
    ],
)
def test_the_user_id_of_one_and_the_address_of_another_is_suggested(send, ada, bob, call):
    send(call)
    send(call, at=LATER)

    event = Event.objects.latest("id")
    assert suggested() == [(ada, bob, "user_id_and_email", 2, "open")]
    row = MergeSuggestion.objects.get()
    assert (row.event_id, row.source_name) == (event.pk, event.source.name)
    assert (row.first_seen_at, row.last_seen_at) == (NOON, LATER)
    assert Contact.objects.present().count() == 2


def test_a_new_user_id_with_a_known_address_is_suggested(send, bob):
    send(identify(userId="ada", traits={"email": "bob@example.com"}))

    ada = Contact.objects.get(external_id="ada")
    assert suggested() == [(ada, bob, "user_id_and_email", 1, "open")]


def test_either_direction_is_the_same_pair(send, ada, bob):
    send(identify(userId="ada", traits={"email": "bob@example.com"}))
    send(identify(userId="bob", traits={"email": "ada@example.com"}))

    assert suggested() == [(ada, bob, "user_id_and_email", 2, "open")]


def test_one_batch_counts_each_event_and_notes_one_pair(send, ada, bob):
    calls = [
        identify(userId="ada", messageId=f"m{n}", traits={"email": "bob@example.com"})
        for n in range(3)
    ]

    send(*calls, *calls)

    assert suggested() == [(ada, bob, "user_id_and_email", 3, "open")]


def test_a_browser_suggests_nothing(send, ada, bob):
    send(identify(userId="ada", traits={"email": "bob@example.com"}), is_secret=False)

    assert suggested() == []


def test_an_address_that_only_a_browser_has_told_suggests_nothing(send, ada):
    stranger = identify(anonymousId="b1", traits={"email": "eve@example.com"})
    send(stranger, is_secret=False)

    send(identify(userId="ada", traits={"email": "eve@example.com"}))

    ada.refresh_from_db()
    assert (suggested(), ada.email) == ([], "eve@example.com")


def test_a_refused_pair_is_not_suggested_again(send, ada, bob):
    call = identify(userId="ada", traits={"email": "bob@example.com"})
    send(call)
    suggestions.refuse(suggestion_id=MergeSuggestion.objects.get().pk, by="boss", now=LATER)

    send(call, alias("ada", "bob"), at=LATER)
    suggestions.merge_due(now=LATER)

    assert suggested() == [(ada, bob, "user_id_and_email", 1, "refused")]


@pytest.mark.parametrize("previous", ["bob", "bobs-browser"])
def test_an_alias_of_two_who_have_user_ids_is_suggested(send, ada, bob, previous):
    IdentityFactory(contact=bob, value="bobs-browser")

    send(alias("ada", previous))
    suggestions.merge_due(now=NOON)

    assert suggested() == [(ada, bob, "alias", 1, "open")]
    assert not MergeLog.objects.exists()


def test_an_alias_of_two_addresses_is_suggested(send, ada):
    guest = ContactFactory(email="guest@example.com")
    IdentityFactory(contact=guest, value="g1")

    send(alias("ada", "g1"))
    suggestions.merge_due(now=NOON)

    assert suggested() == [(ada, guest, "alias", 1, "open")]


# --- guests ---


@pytest.fixture
def guest():
    """Somebody who has given an address, in a browser."""
    contact = ContactFactory(email="guest@example.com")
    IdentityFactory(contact=contact, value="g1")
    return contact


def test_an_alias_merges_a_guest_into_the_user(send, guest):
    user = ContactFactory(external_id="ada", email=None)
    event = EventFactory(contact=guest)

    send(alias("ada", "g1"))
    assert suggested() == [(user, guest, "alias", 1, "due")]
    tick(now=LATER)

    user.refresh_from_db()
    event.refresh_from_db()
    assert (user.email, event.contact) == ("guest@example.com", user)
    assert suggested() == [(user, guest, "alias", 1, "accepted")]
    assert MergeLog.objects.get().merged_by == "an alias call"


def test_a_browser_merges_nobody(send, guest):
    ContactFactory(external_id="ada", email=None)

    send(alias("ada", "g1", anonymousId="g1"), is_secret=False)
    tick(now=LATER)

    assert suggested() == []
    assert Contact.objects.present().count() == 2


def test_a_guest_who_got_a_user_id_meanwhile_is_only_suggested(send, guest):
    ContactFactory(external_id="ada", email=None)
    send(alias("ada", "g1"))
    Contact.objects.filter(pk=guest.pk).update(external_id="own")

    assert suggestions.merge_due(now=LATER) == 0

    assert [row[-1] for row in suggested()] == ["open"]


def test_a_guest_whose_mail_is_on_its_way_is_merged_a_moment_later(send, guest):
    ContactFactory(external_id="ada", email=None)
    send(alias("ada", "g1"))
    mail = MessageFactory(contact=guest, status="claimed", lease_until=LATER)

    assert suggestions.merge_due(now=LATER) == 0
    assert [row[-1] for row in suggested()] == ["due"]
    mail.status, mail.legal_basis = "sent", "opt_out"
    mail.save()

    assert suggestions.merge_due(now=LATER) == 1


def test_a_guest_who_is_gone_is_merged_with_nobody(send, guest):
    from apps.contacts import services

    ContactFactory(external_id="ada", email=None)
    send(alias("ada", "g1"))
    services.blank(contact_id=guest.pk, now=LATER)

    assert suggestions.merge_due(now=LATER) == 0
    assert [row[-1] for row in suggested()] == ["refused"]


def test_an_alias_with_an_unknown_user_id_is_a_second_id(send, ada):
    send(alias("countess", "ada"))
    send(track(userId="countess"))

    assert set(Event.objects.values_list("contact", flat=True)) == {ada.pk}
    assert Contact.objects.get().external_id == "ada"
    assert not Identity.objects.filter(value=hide_browser("ada")).exists()


def test_a_contact_has_so_many_user_ids_at_most(send, ada, settings):
    settings.MAX_NAMES_PER_CONTACT = 1

    send(alias("countess", "ada"))

    assert Event.objects.get().context["cuepost"] == {"notes": ["too_many_user_ids"]}
    assert not Identity.objects.filter(value="countess").exists()


# --- suggestions about somebody who was merged ---


def test_a_suggestion_follows_who_was_merged(send, ada, bob):
    cleo = ContactFactory(external_id="cleo", email="cleo@example.com")
    send(identify(userId="ada", traits={"email": "bob@example.com"}))
    send(identify(userId="bob", traits={"email": "cleo@example.com"}), at=LATER)
    send(identify(userId="cleo", traits={"email": "ada@example.com"}), at=LATER)
    first = MergeSuggestion.objects.get(contact=ada)

    suggestions.accept(suggestion_id=first.pk, is_swapped=False, by="boss", now=LATER)

    assert [row[-1] for row in suggested()] == ["accepted", "accepted", "open"]
    assert suggested()[2][:2] == (cleo, ada)
    log = MergeLog.objects.get()
    from apps.contacts import merging

    merging.undo(log_id=log.pk, by="boss", now=LATER)
    assert [row[-1] for row in suggested()] == ["refused", "open", "open"]
