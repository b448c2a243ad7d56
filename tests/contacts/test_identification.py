"""Who may say who is who."""

from typing import Any

import pytest

from apps.contacts import fields
from apps.contacts.identification import Conflict
from apps.contacts.models import Contact, Identity
from apps.contacts.services import Claim, Mode, Resolution, resolve
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def identify(*, is_trusted: bool = True, **names: Any) -> Claim:
    return Claim(Mode.IDENTIFY, is_trusted, **names)


def track(*, is_trusted: bool = True, **names: Any) -> Claim:
    return Claim(Mode.TRACK, is_trusted, **names)


def ask(*claims: Claim) -> list[Resolution]:
    return resolve(claims=list(claims), now=NOON)


def link(*, contact: Contact, value: str) -> None:
    """Let a browser be somebody's, by the very text that claims call it by."""
    Identity.objects.create(contact=contact, kind="anonymous_id", value=value, linked_at=NOON)


def names_of(contact: Contact) -> set[tuple[str, str]]:
    return set(Identity.objects.filter(contact=contact).values_list("kind", "value"))


@pytest.mark.parametrize("is_trusted", [True, False])
def test_identify_makes_an_unknown_contact_with_all_its_names(is_trusted):
    told = {"firstName": "Ada", "plan": "gold", "country": 7}
    claim = identify(
        is_trusted=is_trusted, user_id="u1", email="ada@example.com", anonymous_id="a1", traits=told
    )

    found = ask(claim)

    contact = Contact.objects.get()
    assert found == [Resolution(contact.pk, ["a1"], ["dropped country: not text"])]
    assert (contact.external_id, contact.email, contact.first_name, contact.attributes) == (
        "u1", "ada@example.com", "Ada", {"plan": "gold"},
    )  # fmt: skip
    assert names_of(contact) == {
        ("user_id", "u1"), ("email", "ada@example.com"), ("anonymous_id", "a1"),
    }  # fmt: skip


def test_trusted_identify_changes_and_links_a_known_contact():
    contact = ContactFactory(external_id="u1", email="old@example.com", attributes={"a": 1, "b": 1})

    found = ask(
        identify(
            user_id="u1", email="new@example.com", anonymous_id="a1", traits={"b": 2, "a": None}
        )
    )

    contact.refresh_from_db()
    assert found == [Resolution(contact.pk, ["a1"], [])]
    assert (contact.email, contact.attributes) == ("new@example.com", {"a": 1, "b": 2})
    assert names_of(contact) == {
        ("user_id", "u1"), ("email", "new@example.com"), ("anonymous_id", "a1"),
    }  # fmt: skip


def test_trusted_identify_gives_a_user_id_to_a_known_address():
    contact = ContactFactory(email="ada@example.com")

    found = ask(identify(user_id="u1", email="ada@example.com"))

    contact.refresh_from_db()
    assert (found[0].contact_id, contact.external_id) == (contact.pk, "u1")


def test_user_id_wins_where_the_address_is_somebody_elses():
    ada, bob = ContactFactory(external_id="u1"), ContactFactory(external_id="u2")

    found = ask(identify(user_id="u1", email=bob.email, traits={"firstName": "Ada"}))

    conflict = Conflict(ada.pk, bob.pk, "user_id_and_email")
    assert found == [Resolution(ada.pk, [], ["email_taken"], conflict)]
    before = (ada.email, bob.email)
    ada.refresh_from_db()
    bob.refresh_from_db()
    assert (ada.email, bob.email, ada.first_name, bob.first_name) == (*before, "Ada", "")


def test_new_user_id_with_the_address_of_another_user_is_a_new_contact():
    bob = ContactFactory(external_id="u2")

    found = ask(identify(user_id="u1", email=bob.email))

    ada = Contact.objects.get(external_id="u1")
    conflict = Conflict(ada.pk, bob.pk, "user_id_and_email")
    assert found == [Resolution(ada.pk, [], ["email_taken"], conflict)]
    assert ada.email is None


def test_trusted_track_makes_whom_it_names_but_nobody_of_a_browser():
    found = ask(
        track(user_id="u1", email="ada@example.com"),
        track(email="bob@example.com", anonymous_id="b1"),
        track(anonymous_id="a1"),
    )

    ada, bob = Contact.objects.order_by("pk")
    assert found == [Resolution(ada.pk), Resolution(bob.pk, ["b1"]), Resolution()]
    assert (ada.external_id, ada.email) == ("u1", "ada@example.com")
    assert (bob.external_id, bob.email) == (None, "bob@example.com")


def test_trusted_track_gives_a_first_address_and_replaces_none():
    ada = ContactFactory(external_id="u1", email=None)
    bob = ContactFactory(external_id="u2", email="bob@example.com")

    found = ask(
        track(user_id="u1", email="ada@example.com"), track(user_id="u2", email="b@example.com")
    )

    assert found == [Resolution(ada.pk), Resolution(bob.pk)]
    emails = Contact.objects.order_by("pk").values_list("email", flat=True)
    assert list(emails) == ["ada@example.com", "bob@example.com"]


def test_public_track_makes_nobody():
    found = ask(track(is_trusted=False, user_id="u1", email="x@example.com", anonymous_id="a1"))

    assert found == [Resolution(None, [], ["unverified"])]
    assert not Contact.objects.exists()


def test_trusted_track_links_a_browser_but_never_moves_it():
    ada, bob = ContactFactory(external_id="u1"), ContactFactory(external_id="u2")
    link(contact=bob, value="bobs")

    found = ask(track(user_id="u1", anonymous_id="new"), track(user_id="u1", anonymous_id="bobs"))

    assert found == [Resolution(ada.pk, ["new"], []), Resolution(ada.pk, [], [])]
    assert names_of(bob) == {("email", bob.email), ("user_id", "u2"), ("anonymous_id", "bobs")}


def test_trusted_identify_moves_a_browser_to_whoever_logs_in():
    bob = ContactFactory(external_id="u2")
    link(contact=bob, value="shared")
    ada = ContactFactory(external_id="u1")

    ask(identify(user_id="u1", anonymous_id="shared"))

    assert Identity.objects.get(value="shared").contact == ada


@pytest.mark.parametrize(
    "names",
    [
        {"user_id": "u1"},
        {"email": "ada@example.com"},
        {"user_id": "new", "email": "ada@example.com"},
        {"user_id": "u1", "email": "new@example.com"},
    ],
)
@pytest.mark.parametrize("browser", ["unknown", "bobs", None])
def test_public_key_never_touches_a_known_contact(names, browser):
    ada = ContactFactory(external_id="u1", email="ada@example.com", first_name="Ada")
    bob = ContactFactory(external_id="u2", email="bob@example.com")
    link(contact=bob, value="bobs")
    before = list(Contact.objects.order_by("pk").values())
    links = set(Identity.objects.values_list("contact", "kind", "value"))

    found = ask(
        identify(is_trusted=False, anonymous_id=browser, traits={"firstName": "Eve"}, **names)
    )

    assert found == [Resolution(None, [], ["unverified"])]
    assert list(Contact.objects.order_by("pk").values()) == before
    assert set(Identity.objects.values_list("contact", "kind", "value")) == links
    assert ada.pk


def test_public_key_speaks_for_the_contact_its_browser_is_linked_to():
    contact = ContactFactory(external_id="u1")
    link(contact=contact, value="a1")

    found = ask(
        identify(is_trusted=False, user_id="u1", anonymous_id="a1", traits={"firstName": "Ada"}),
        track(is_trusted=False, user_id="u1", anonymous_id="a1"),
        track(is_trusted=False, anonymous_id="a1"),
        track(is_trusted=False, user_id="u2", anonymous_id="a1"),
    )

    contact.refresh_from_db()
    assert found == [
        Resolution(contact.pk), Resolution(contact.pk), Resolution(contact.pk),
        Resolution(None, [], ["unverified"]),
    ]  # fmt: skip
    assert contact.first_name == "Ada"


def test_public_key_keeps_an_address_that_is_there():
    contact = ContactFactory(external_id="u1", email="old@example.com")
    link(contact=contact, value="a1")

    found = ask(
        identify(is_trusted=False, user_id="u1", anonymous_id="a1", email="new@example.com")
    )

    contact.refresh_from_db()
    assert (found, contact.email) == (
        [Resolution(contact.pk, [], ["email_kept"])],
        "old@example.com",
    )


def test_public_key_gives_its_contact_a_first_address():
    ask(identify(is_trusted=False, user_id="u1", anonymous_id="a1"))

    ask(identify(is_trusted=False, user_id="u1", anonymous_id="a1", email="ada@example.com"))

    assert Contact.objects.get().email == "ada@example.com"


def test_next_person_at_a_shared_browser_is_a_new_contact():
    ada = ContactFactory(email="ada@example.com")
    link(contact=ada, value="shared")

    found = ask(identify(is_trusted=False, email="bob@example.com", anonymous_id="shared"))

    bob = Contact.objects.get(email="bob@example.com")
    assert found == [Resolution(bob.pk, ["shared"], [])]


def browsers_of(contact_id: int | None) -> set[tuple[str, bool]]:
    browsers = Identity.objects.filter(contact=contact_id, kind="anonymous_id")
    return set(browsers.values_list("value", "is_trusted"))


@pytest.mark.parametrize(
    "naming",
    [
        identify(user_id="u1"),
        identify(email="ada@example.com"),
        identify(user_id="u1", email="ada@example.com", traits={"plan": "x"}),
        track(user_id="u1"),
        track(email="ada@example.com"),
    ],
)
@pytest.mark.parametrize("batches", [1, 2])
def test_a_browser_that_claimed_a_contact_loses_it_when_a_server_names_them(naming, batches):
    claimed = identify(is_trusted=False, user_id="u1", email="ada@example.com", anonymous_id="evil")
    if batches == 2:
        ask(claimed)
        assert browsers_of(Contact.objects.get().pk) == {("evil", False)}

    found = ask(claimed, naming)
    later = ask(
        track(is_trusted=False, anonymous_id="evil"),
        identify(is_trusted=False, user_id="u1", anonymous_id="evil", traits={"firstName": "Eve"}),
        track(anonymous_id="evil"),
    )

    contact = Contact.objects.get()
    assert found[1] == Resolution(contact.pk)
    assert found[0].linked == []
    assert browsers_of(contact.pk) == set()
    assert [one.contact_id for one in later] == [None, None, None]
    assert contact.first_name == ""


@pytest.mark.parametrize("naming", [identify, track])
def test_a_browser_that_a_server_names_stays_and_is_believed_from_then_on(naming):
    ask(identify(is_trusted=False, email="ada@example.com", anonymous_id="a1"))

    found = ask(naming(user_id="u1", email="ada@example.com", anonymous_id="a1"))
    ask(track(user_id="u1"))

    contact = Contact.objects.get()
    assert found == [Resolution(contact.pk)]
    assert set(contact.identities.values_list("kind", "value", "is_trusted")) == {
        ("user_id", "u1", True), ("email", "ada@example.com", True), ("anonymous_id", "a1", True),
    }  # fmt: skip
    speaking = track(is_trusted=False, anonymous_id="a1")
    assert ask(speaking) == [Resolution(contact.pk)]


def test_a_server_that_only_passes_a_browser_on_proves_nothing():
    ask(identify(is_trusted=False, email="ada@example.com", anonymous_id="evil"))

    ask(identify(anonymous_id="evil", traits={"plan": "x"}), track(anonymous_id="evil"))

    assert browsers_of(Contact.objects.get().pk) == {("evil", False)}


@pytest.mark.parametrize("naming", [identify, track])
def test_a_guest_who_opens_an_account_stays_the_same_contact(naming):
    ask(identify(is_trusted=False, email="ada@example.com", anonymous_id="a1"))

    found = ask(naming(user_id="u1", anonymous_id="a1"))

    contact = Contact.objects.get()
    assert found == [Resolution(contact.pk)]
    assert (contact.email, contact.external_id) == ("ada@example.com", "u1")
    assert browsers_of(contact.pk) == {("a1", True)}


def test_a_guest_s_browser_with_another_address_is_another_contact():
    ask(identify(is_trusted=False, email="ada@example.com", anonymous_id="a1"))

    found = ask(identify(user_id="u2", email="bob@example.com", anonymous_id="a1"))

    bob = Contact.objects.get(email="bob@example.com")
    assert found == [Resolution(bob.pk, ["a1"])]
    assert Contact.objects.get(email="ada@example.com").external_id is None


def test_a_server_moves_a_browser_that_linked_itself():
    ada = ContactFactory(external_id="u1")
    ask(identify(is_trusted=False, email="guest@example.com", anonymous_id="a1"))

    found = ask(track(user_id="u1", anonymous_id="a1"))

    assert found == [Resolution(ada.pk, ["a1"])]
    assert browsers_of(ada.pk) == {("a1", True)}


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("names", [{}, {"user_id": "evil"}])
@pytest.mark.parametrize("is_known", [True, False])
def test_an_address_that_a_browser_claimed_goes_to_whom_a_server_gives_it(names, batches, is_known):
    if is_known:
        ContactFactory(external_id="u1", email="old@example.com")
    else:
        names = {"user_id": "evil"}
    claimed = identify(is_trusted=False, email="ada@example.com", anonymous_id="evil", **names)
    if batches == 2:
        ask(claimed)

    ask(claimed, identify(user_id="u1", email="ada@example.com"))

    assert set(Contact.objects.values_list("external_id", "email")) == {
        ("u1", "ada@example.com"), (names.get("user_id"), None),
    }  # fmt: skip
    ada = Contact.objects.get(external_id="u1")
    assert names_of(ada) == {("user_id", "u1"), ("email", "ada@example.com")}


def test_what_a_browser_said_is_kept_though_it_moves_on_at_once():
    contact = ContactFactory(external_id="u1")
    link(contact=contact, value="shared")

    ask(
        identify(is_trusted=False, anonymous_id="shared", traits={"plan": "pro"}),
        identify(is_trusted=False, anonymous_id="shared", user_id="u2"),
    )

    contact.refresh_from_db()
    assert contact.attributes == {"plan": "pro"}
    assert browsers_of(Contact.objects.get(external_id="u2").pk) == {("shared", False)}


@pytest.mark.parametrize("browser", [None, "evil"])
def test_public_alias_takes_no_browser_from_anybody(browser):
    contact = ContactFactory(external_id="u1")
    link(contact=contact, value="a1")
    alias = Claim(Mode.ALIAS, False, user_id="u2", previous_id="a1", anonymous_id=browser)

    assert ask(alias) == [Resolution(None, [], ["unverified"])]
    assert browsers_of(contact.pk) == {("a1", True)}
    assert Contact.objects.count() == 1


def test_public_alias_hands_its_own_browser_over():
    contact = ContactFactory(external_id="u1")
    link(contact=contact, value="a1")

    ask(Claim(Mode.ALIAS, False, user_id="u2", previous_id="a1", anonymous_id="a1"))

    assert browsers_of(Contact.objects.get(external_id="u2").pk) == {("a1", False)}


@pytest.mark.parametrize("is_trusted", [True, False])
def test_alias_of_a_guest_is_the_same_contact(is_trusted):
    guest = ContactFactory()
    link(contact=guest, value="a1")

    ask(Claim(Mode.ALIAS, is_trusted, user_id="u1", previous_id="a1", anonymous_id="a1"))

    guest.refresh_from_db()
    assert (guest.external_id, Contact.objects.count()) == ("u1", 1)


def test_a_browser_that_may_not_be_linked_finds_its_person():
    contact = ContactFactory(external_id=None)
    link(contact=contact, value="a1")

    found = ask(
        track(user_id="u1", anonymous_id="a1", may_link=False),
        track(user_id="u1", anonymous_id="a2", may_link=False),
    )

    assert found == [Resolution(contact.pk), Resolution(contact.pk)]
    assert browsers_of(contact.pk) == {("a1", True)}


@pytest.mark.parametrize("is_trusted", [True, False])
def test_alias_links_a_browser_to_a_user(is_trusted):
    found = ask(Claim(Mode.ALIAS, is_trusted, user_id="u1", previous_id="a1"))

    assert found == [Resolution(Contact.objects.get(external_id="u1").pk, ["a1"], [])]


def test_public_alias_cannot_reach_a_known_user():
    ContactFactory(external_id="u1")

    found = ask(Claim(Mode.ALIAS, False, user_id="u1", previous_id="a1"))

    assert found == [Resolution(None, [], ["unverified"])]
    assert not Identity.objects.filter(value="a1").exists()


def test_browser_linked_by_a_later_claim_is_known_to_earlier_ones():
    found = ask(track(anonymous_id="a1"), identify(user_id="u1", anonymous_id="a1"))

    contact = Contact.objects.get()
    assert found == [Resolution(contact.pk), Resolution(contact.pk, ["a1"], [])]


def test_contact_without_identity_rows_is_found_by_its_columns():
    contact = ContactFactory(external_id="u1")
    Identity.objects.all().delete()

    found = ask(track(user_id="u1"), Claim(Mode.FIND, True, email=contact.email))

    assert [one.contact_id for one in found] == [contact.pk, contact.pk]


def test_same_claims_again_change_nothing():
    claim = identify(user_id="u1", email="ada@example.com", anonymous_id="a1", traits={"plan": "x"})
    ask(claim)
    before = list(Contact.objects.values())

    assert ask(claim) == [Resolution(Contact.objects.get().pk)]
    assert list(Contact.objects.values()) == before


@pytest.mark.parametrize("count", [1, 30])
def test_queries_do_not_grow_with_the_claims(count, django_assert_num_queries):
    claims = [
        identify(user_id=f"u{n}", email=f"{n}@example.com", anonymous_id=f"a{n}", traits={"n": n})
        for n in range(count + 1)
    ]
    ContactFactory(external_id="u0")

    fields.declared()  # Kept for seconds.

    # Find, lock, find again, lock rows, count names, insert, update, forget an old address, name.
    with django_assert_num_queries(9):
        ask(*claims)
