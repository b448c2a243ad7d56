"""The page of a person, and what staff does there."""

from typing import Any

import pytest
from django.urls import reverse

from apps.consent.models import ConsentRecord, ConsentState, Suppression
from apps.consent.services import find_suppression
from apps.contacts import services
from apps.contacts.models import Contact, Identity
from apps.core.pages import model_url, object_url
from tests.admin.conftest import at_browser
from tests.factories.accounts import StaffFactory
from tests.factories.commerce import CartItemFactory, OrderFactory
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory, IdentityFactory
from tests.factories.workflows import EnrollmentFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

EDIT = {
    "first_name": "Ada", "last_name": "Byron", "email": "Ada@Example.COM", "external_id": "",
    "phone": "", "country": "ie", "locale": "en-IE", "time_zone": "", "attributes": "{}",
}  # fmt: skip


def act_url(contact: Contact, name: str) -> str:
    return reverse("admin:contacts_contact_act", args=[contact.pk, name])


def names_of(contact: Contact) -> set[tuple[str, str]]:
    return set(contact.identities.values_list("kind", "value"))


# --- looking ---


def test_the_page_says_whether_we_may_write(staff):
    contact = ContactFactory(email="ada@example.com", attributes={"favorite_tea": "oolong"})
    browser = IdentityFactory(contact=contact)
    grant(contact, "email_marketing", NOON)
    deny(contact, "tracking", NOON)

    page = staff.get(object_url(contact)).content.decode()

    for words in ("allowed", "refused", "may be written to", "the chain of records is whole"):
        assert words in page
    assert browser.value in page
    assert "favorite tea" in page
    assert "oolong" in page


def test_the_page_shows_a_silent_address_and_a_broken_chain(staff):
    contact = ContactFactory()
    record = grant(contact, "email_marketing", NOON)
    ConsentState.objects.filter(contact=contact).delete()
    Suppression.objects.create(
        email_hash="0" * 64, reason=Suppression.Reason.BOUNCED, suppressed_at=NOON
    )

    page = staff.get(object_url(contact)).content.decode()

    assert record.record_hash
    assert "the chain of records is broken" in page
    assert "The state does not match the newest records." in page


def test_the_page_shows_carts_orders_and_workflows(staff):
    contact = ContactFactory()
    cart = CartItemFactory(cart__contact=contact, name="Heron teapot").cart
    order = OrderFactory(contact=contact)
    enrollment = EnrollmentFactory(contact=contact)

    page = staff.get(object_url(contact)).content.decode()

    for row in (cart, order, enrollment):
        assert object_url(row) in page
    assert "1 × Heron teapot" in page
    assert reverse("admin:workflows_workflow_why", args=[contact.pk]) in page


@pytest.mark.parametrize(
    "term", ["ada@exa", "ADA@EXAMPLE.COM", "Lovelace", "ada love", "u-1", "b-1"]
)
def test_people_are_found_by_all_their_names(staff, term):
    ada = ContactFactory(
        email="ada@example.com", first_name="Ada", last_name="Lovelace", external_id="u-1"
    )
    IdentityFactory(contact=ada, value="b-1")
    ContactFactory(first_name="Grace")

    found = staff.get(model_url(Contact), {"q": term}).context["cl"].result_list

    assert list(found) == [ada]


def test_test_contacts_can_be_listed(staff):
    tester = ContactFactory(is_test=True)
    ContactFactory()

    found = staff.get(model_url(Contact), {"is_test__exact": "1"}).context["cl"].result_list

    assert list(found) == [tester]


def test_whoever_may_only_look_is_offered_nothing_to_do(viewer):
    contact = ContactFactory()

    page = viewer.get(object_url(contact)).content.decode()
    answers = [viewer.post(act_url(contact, name)) for name in ("unsubscribe", "mark_test")]

    assert "?edit" not in page
    assert "Unsubscribe" not in page
    assert "Record a consent" not in page
    assert [answer.status_code for answer in answers] == [403, 403]
    assert not ConsentRecord.objects.exists()


def test_an_action_without_permission_to_see_people_does_nothing(db):
    contact = ContactFactory()
    client = at_browser(StaffFactory(permissions=["consent.add_consentrecord"]))

    answer = client.post(act_url(contact, "unsubscribe"))

    assert answer.status_code == 403
    assert not ConsentRecord.objects.exists()


# --- editing ---


def test_what_staff_enters_is_normalized_and_leads_events_to_the_person(staff):
    answer = staff.post(model_url(Contact, "add"), {**EDIT, "external_id": "u-7"})

    contact = Contact.objects.get()
    assert answer.url == object_url(contact)
    assert (contact.email, contact.country) == ("ada@example.com", "IE")
    assert names_of(contact) == {("email", "ada@example.com"), ("user_id", "u-7")}


def test_a_new_address_takes_the_place_of_the_old_one(staff):
    contact = ContactFactory(email="old@example.com", external_id="u-1")
    browser = IdentityFactory(contact=contact)

    answer = staff.post(f"{object_url(contact)}?edit", EDIT)

    contact.refresh_from_db()
    assert answer.url == object_url(contact)
    assert (contact.email, contact.external_id) == ("ada@example.com", None)
    assert names_of(contact) == {("email", "ada@example.com"), ("anonymous_id", browser.value)}


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"email": "taken@example.com"}, "Another contact already has this address."),
        ({"email": "known@example.com"}, "Another contact is already known by this."),
        ({"external_id": "u-2"}, "Another contact already has this user ID."),
        ({"email": "not an address"}, "Enter a valid email address."),
        ({"email": "ada@localhost"}, "This is not an e-mail address."),
    ],
)
def test_a_name_that_can_not_be_is_told_at_its_field(staff, entered, message):
    contact = ContactFactory(email="old@example.com")
    # As an import leaves them: known by their columns alone.
    Contact.objects.create(email="taken@example.com", external_id="u-2")
    Identity.objects.create(
        contact=ContactFactory(email=None), kind="email", value="known@example.com", linked_at=NOON
    )

    answer = staff.post(f"{object_url(contact)}?edit", {**EDIT, **entered})

    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert Contact.objects.get(pk=contact.pk).email == "old@example.com"


def test_a_contact_may_have_no_address(staff):
    contact = ContactFactory(email="old@example.com")

    staff.post(f"{object_url(contact)}?edit", {**EDIT, "email": "", "external_id": "u-1"})

    assert Contact.objects.get().email is None
    assert names_of(contact) == {("user_id", "u-1")}


def test_save_contact_leaves_nothing_half_done_where_a_name_is_taken():
    known = ContactFactory(email=None)
    Identity.objects.create(contact=known, kind="email", value="ada@example.com", linked_at=NOON)
    contact = ContactFactory(email="old@example.com")
    contact.email = "ada@example.com"

    with pytest.raises(services.NameTaken):
        services.save_contact(contact=contact, now=NOON)

    assert Contact.objects.get(pk=contact.pk).email == "old@example.com"
    assert names_of(contact) == {("email", "old@example.com")}


def test_people_can_not_be_deleted_by_a_click(staff):
    contact = ContactFactory()

    answer = staff.post(model_url(Contact, "delete", contact.pk), {"post": "yes"})

    assert answer.status_code == 403
    assert Contact.objects.filter(pk=contact.pk).exists()


# --- acting ---


def test_unsubscribing_asks_first(staff):
    contact = ContactFactory()

    page = staff.get(act_url(contact, "unsubscribe"))

    assert "Takes back the consent to marketing mail" in page.content.decode()
    assert not ConsentRecord.objects.exists()


def test_unsubscribing_writes_the_record_and_the_suppression(staff):
    contact = ContactFactory()
    grant(contact, "email_marketing", NOON)

    answer = staff.post(act_url(contact, "unsubscribe"), follow=True)

    record = ConsentRecord.objects.latest("id")
    assert (record.status, record.method, record.source) == ("denied", "staff", "staff: boss")
    assert find_suppression(contact.email).reason == "unsubscribed"
    assert "1 contact unsubscribed." in answer.content.decode()


def test_many_are_unsubscribed_after_a_question(staff):
    contacts = [ContactFactory() for _ in range(3)]
    chosen = [contact.pk for contact in contacts[:2]]
    action = {"action": "unsubscribe", "_selected_action": chosen, "select_across": "0"}

    question = staff.post(model_url(Contact), action)
    asked = ConsentRecord.objects.count()
    answer = staff.post(model_url(Contact), {**action, "is_confirmed": "1"}, follow=True)

    assert "Unsubscribe: the selected contacts?" in question.content.decode()
    assert asked == 0
    assert set(ConsentRecord.objects.values_list("contact", flat=True)) == set(chosen)
    assert "2 contacts unsubscribed." in answer.content.decode()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("mark_test", False, True), ("unmark_test", True, False)],
)
def test_test_contacts_are_marked_and_unmarked(staff, name, before, after):
    contact = ContactFactory(is_test=before)

    staff.post(act_url(contact, name))

    assert Contact.objects.get().is_test is after


def test_only_the_action_that_changes_something_is_offered(staff):
    page = staff.get(object_url(ContactFactory(is_test=True, email=None))).content.decode()

    assert "No test contact any more" in page
    assert "Mark as test contact" not in page
    assert "Unsubscribe" not in page


def test_an_action_that_nobody_registered_is_not_found(staff):
    assert staff.post(act_url(ContactFactory(), "erase")).status_code == 404


# --- consents and suppressions ---


def record_consent(staff: Any, contact: Contact, **fields: str) -> Any:
    url = f"{model_url(ConsentRecord, 'add')}?contact={contact.pk}"
    data = {
        "contact": contact.pk, "purpose": "email_marketing", "status": "granted",
        "source": "phone", "note": "asked for offers about tea", **fields,
    }  # fmt: skip
    return staff.post(url, data, follow=True)


def test_staff_records_what_somebody_said(staff):
    contact = ContactFactory()

    answer = record_consent(staff, contact)

    record = ConsentRecord.objects.get()
    assert answer.redirect_chain[-1][0] == object_url(contact)
    assert (record.status, record.method, record.source) == ("granted", "staff", "phone")
    assert record.evidence == {"note": "asked for offers about tea", "recorded_by": "boss"}
    assert ConsentState.objects.get().record == record


def test_what_holds_already_is_not_recorded_again(staff):
    contact = ContactFactory()
    grant(contact, "email_marketing", NOON)

    answer = record_consent(staff, contact)

    assert "That is what holds already" in answer.content.decode()
    assert ConsentRecord.objects.count() == 1


def test_a_consent_without_evidence_is_not_recorded(staff):
    answer = record_consent(staff, ContactFactory(), note="")

    assert "This field is required." in answer.content.decode()
    assert not ConsentRecord.objects.exists()


def test_staff_keeps_an_address_silent(staff):
    staff.post(model_url(Suppression, "add"), {"email": "Spam@Trap.Example"})

    assert find_suppression("spam@trap.example").reason == "manual"
    assert staff.get(object_url(Suppression.objects.get())).status_code == 200


@pytest.mark.parametrize(
    ("email", "message"),
    [
        ("known@example.com", "It is silent already"),
        ("x", "Enter a valid email address."),
        ("ada@localhost", "This is not an e-mail address."),
    ],
)
def test_an_address_that_can_not_be_silenced_is_told(staff, email, message):
    staff.post(model_url(Suppression, "add"), {"email": "known@example.com"})

    answer = staff.post(model_url(Suppression, "add"), {"email": email})

    assert message in answer.content.decode()
    assert Suppression.objects.count() == 1


def test_a_suppression_is_found_by_the_address_that_nobody_stored(staff):
    for email in ("one@example.com", "two@example.com"):
        staff.post(model_url(Suppression, "add"), {"email": email})

    found = staff.get(model_url(Suppression), {"q": "One@example.com"}).context["cl"].result_list

    assert list(found) == [find_suppression("one@example.com")]
