"""Declared fields in the admin: made by staff, and shown as fields of a contact's form."""

import pytest

from apps.contacts.models import Contact, ContactField
from apps.core.pages import model_url, object_url
from apps.core.roles import Role
from tests.accounts.crawling import in_role
from tests.admin.test_contacts import EDIT
from tests.factories.contacts import ContactFactory, ContactFieldFactory

pytestmark = pytest.mark.django_db

NEW = {
    "label": "Favorite tea", "key": "favorite_tea", "kind": "choice",
    "choices": " Oolong \nSencha\n\nOolong", "help_text": "", "order": "10",
}  # fmt: skip


@pytest.fixture
def declared(db: None) -> None:
    for kind in ("text", "number", "boolean", "date", "datetime", "url"):
        ContactFieldFactory(key=kind, label=f"Some {kind}", kind=kind)
    ContactFieldFactory(key="tea", label="Tea", kind="choice", choices=["Oolong", "Sencha"])
    ContactFieldFactory(key="teas", label="Teas", kind="list", choices=["Oolong", "Sencha"])
    ContactFieldFactory(key="words", label="Words", kind="list")


TYPED = {
    "field_text": "x", "field_number": "3.5", "field_boolean": "no", "field_date": "2026-01-31",
    "field_datetime": "2026-01-31T18:00", "field_url": "https://shop.example/",
    "field_tea": "Sencha", "field_teas": ["Sencha", "Oolong"], "field_words": "a\nb; c",
}  # fmt: skip
STORED = {
    "text": "x", "number": 3.5, "boolean": False, "date": "2026-01-31",
    "datetime": "2026-01-31T18:00:00+00:00", "url": "https://shop.example/", "tea": "Sencha",
    "teas": ["Sencha", "Oolong"], "words": ["a", "b", "c"],
}  # fmt: skip


def test_staff_declares_a_field(staff):
    answer = staff.post(model_url(ContactField, "add"), NEW)

    field = ContactField.objects.get()
    assert answer.status_code == 302
    assert (field.key, field.choices) == ("favorite_tea", ["Oolong", "Sencha"])


@pytest.mark.parametrize(
    ("entered", "message"),
    [
        ({"key": "email"}, "Contacts have a field for this already."),
        ({"key": "a b"}, "Only letters, digits, - and _, no spaces."),
        ({"key": "known"}, "already exists"),
        ({"choices": ""}, "Say what there is to choose from."),
        ({"choices": "x" * 201}, "A choice has at most 200 characters."),
    ],
)
def test_a_field_that_can_not_be_is_refused(staff, entered, message):
    ContactFieldFactory(key="known")

    answer = staff.post(model_url(ContactField, "add"), {**NEW, **entered})

    assert message in answer.content.decode()
    assert ContactField.objects.count() == 1


def test_a_contact_is_edited_by_its_fields(staff, declared):
    contact = ContactFactory(attributes={"plan": "gold"})

    form = {**EDIT, **TYPED, "attributes": '{"plan": "gold"}'}
    answer = staff.post(f"{object_url(contact)}?edit", form)
    page = staff.get(object_url(contact)).content.decode()

    contact.refresh_from_db()
    assert answer.status_code == 302
    assert contact.attributes == {"plan": "gold", **STORED}
    for text in ("Some date", "2026-01-31", "31 Jan 2026, 18:00:00 UTC", "Sencha, Oolong"):
        assert text in page


def test_saving_the_form_as_it_is_changes_nothing(staff, declared):
    contact = ContactFactory(attributes={"plan": {"a": 1}, **STORED})

    page = staff.get(f"{object_url(contact)}?edit")
    form = page.context["adminform"].form
    told = {name: form[name].value() for name in form.fields}
    posted = {name: "" if value is None else value for name, value in told.items()}
    answer = staff.post(f"{object_url(contact)}?edit", {**posted, "is_test": ""})

    contact.refresh_from_db()
    assert answer.status_code == 302
    assert contact.attributes == {"plan": {"a": 1}, **STORED}


def test_a_value_that_does_not_fit_is_told_at_its_field(staff, declared):
    contact = ContactFactory()

    answer = staff.post(f"{object_url(contact)}?edit", {**EDIT, "field_number": "many"})

    contact.refresh_from_db()
    assert "This is not a number such as 12 or 3.5." in answer.content.decode()
    assert contact.attributes == {}


def test_what_was_stored_before_and_does_not_fit_stays_visible(staff):
    ContactFieldFactory(key="age", kind="number")
    contact = ContactFactory(attributes={"age": "about forty"})

    form = staff.get(f"{object_url(contact)}?edit").context["adminform"].form
    staff.post(
        f"{object_url(contact)}?edit",
        {**EDIT, "attributes": form["attributes"].value(), "field_age": ""},
    )

    contact.refresh_from_db()
    assert contact.attributes == {"age": "about forty"}


def test_emptying_a_field_removes_the_value(staff, declared):
    contact = ContactFactory(attributes=STORED)

    staff.post(f"{object_url(contact)}?edit", EDIT)

    contact.refresh_from_db()
    assert contact.attributes == {}


def test_deleting_a_field_keeps_the_values(staff):
    field = ContactFieldFactory(key="age", kind="number")
    contact = ContactFactory(attributes={"age": 41})

    staff.post(model_url(ContactField, "delete", field.pk), {"post": "yes"})

    contact.refresh_from_db()
    assert not ContactField.objects.exists()
    assert contact.attributes == {"age": 41}


def test_the_fields_are_there_for_a_new_contact(staff, declared):
    staff.post(model_url(Contact, "add"), {**EDIT, **TYPED})

    assert Contact.objects.get().attributes == STORED


def test_an_analyst_sees_that_there_are_values_and_not_which(declared):
    contact = ContactFactory(attributes=STORED)
    _, client = in_role(Role.ANALYST)

    page = client.get(object_url(contact)).content.decode()

    assert "Some date" in page
    assert "Sencha" not in page
    assert "2026-01-31" not in page
