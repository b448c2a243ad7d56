"""The roles that come with the product: who may open what, and who sees people."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from apps.accounts import services
from apps.accounts.models import AccessRecord, User
from apps.commerce.models import Product
from apps.consent.models import Suppression
from apps.contacts.models import Contact
from apps.core.pages import model_url, object_url
from apps.core.roles import Role, granted
from apps.core.viewing import MASK
from apps.events.models import Event, Source
from apps.messaging.models import Message
from tests.accounts.crawling import crawl, in_role
from tests.accounts.person import ALL, EMAIL, FIRST_NAME, LAST_NAME, PHONE, USER_ID, make_person
from tests.factories.accounts import StaffFactory
from tests.factories.contacts import ContactFactory
from tests.factories.events import SourceFactory

pytestmark = pytest.mark.django_db


def permissions_of(role: Role) -> set[str]:
    held = Permission.objects.filter(group__name=role).select_related("content_type")
    return {f"{one.content_type.app_label}.{one.codename}" for one in held}


# --- the groups ---


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_each_role_has_what_the_apps_have_registered(role):
    assert permissions_of(role) == granted(role) != set()


def test_an_administrator_may_do_everything():
    assert permissions_of(Role.ADMINISTRATOR) >= permissions_of(Role.PRIVACY_OFFICER)
    assert Permission.objects.exclude(group__name=Role.ADMINISTRATOR).count() == 0


def test_roles_are_mended_and_what_staff_added_stays():
    group = Group.objects.get(name=Role.ANALYST)
    more = Permission.objects.get(codename="view_source")
    group.permissions.set([more])

    services.install_roles()

    assert permissions_of(Role.ANALYST) == granted(Role.ANALYST) | {"events.view_source"}


def test_installing_roles_twice_asks_little(django_assert_num_queries):
    with django_assert_num_queries(3):
        services.install_roles()


def test_only_two_roles_may_export():
    roles = [role for role in Role if "contacts.export_contact" in permissions_of(role)]

    assert roles == [Role.PRIVACY_OFFICER, Role.ADMINISTRATOR]


# --- pages ---


def test_an_analyst_sees_nobody_on_any_page():
    contact = make_person()
    _, client = in_role(Role.ANALYST)
    rows = [
        object_url(row)
        for model in admin.site._registry
        for row in model._default_manager.all()[:3]
    ]
    probes = [
        model_url(Contact, q=EMAIL),
        f"{object_url(contact)}?edit",
        f"{object_url(contact)}?only=events",
    ]

    pages = crawl(client, *rows, *probes)

    seen = {(url, text) for url, page in pages.items() for text in ALL if text in page}
    assert seen == set()
    assert MASK in pages[object_url(contact)]
    assert f"Contact {contact.pk}" in pages[model_url(Contact)]
    assert sum(bool(page) for page in pages.values()) > 30


def test_a_marketer_sees_people_and_no_keys_or_staff():
    contact = make_person()
    source = SourceFactory()
    _, client = in_role(Role.MARKETER)

    page = client.get(object_url(contact)).content.decode()
    refused = [
        model_url(User),
        model_url(Group),
        model_url(Source),
        object_url(source),
        model_url(AccessRecord),
    ]

    for text in (EMAIL, FIRST_NAME, LAST_NAME, PHONE.replace("+", "&#x2B;"), USER_ID):
        assert text in page or text.replace("&#x2B;", "+") in page
    assert {client.get(url).status_code for url in refused} == {403}


@pytest.mark.parametrize("role", list(Role))
def test_every_page_opens_or_says_no(role):
    make_person()
    _, client = in_role(role)
    lists = [model_url(model) for model in admin.site._registry]

    pages = crawl(client, *lists)

    assert pages["/admin/"]


# --- ways around ---


def test_an_analyst_cannot_ask_for_what_is_hidden():
    make_person()
    ContactFactory()
    _, client = in_role(Role.ANALYST)
    everybody = len(client.get(model_url(Contact)).context["cl"].result_list)

    searched = client.get(model_url(Contact), {"q": EMAIL}).context["cl"].result_list
    filtered = [
        client.get(model_url(model), {lookup: EMAIL})
        for model, lookup in [
            (Contact, "email"), (Contact, "email__startswith"), (Contact, "identities__value"),
            (Event, "properties__email"), (Event, "contact__email"), (Message, "contact__email"),
            (Message, "email"),
        ]
    ]  # fmt: skip
    silent = client.get(model_url(Suppression), {"q": "nobody@example.com"})

    assert len(searched) == everybody
    assert {answer.status_code for answer in filtered} <= {302, 400}
    assert len(silent.context["cl"].result_list) == 1


def test_an_analyst_cannot_sort_by_what_is_hidden():
    for letter in "bca":
        ContactFactory(email=f"{letter}@example.com")
    _, client = in_role(Role.ANALYST)

    rows = client.get(model_url(Contact), {"o": "2"}).context["cl"].result_list

    assert [row.pk for row in rows] == sorted((row.pk for row in rows), reverse=True)


def test_an_analyst_cannot_complete_a_name():
    make_person()
    user, client = in_role(Role.ANALYST)
    user.user_permissions.add(Permission.objects.get(codename="add_consentrecord"))
    asked = {
        "app_label": "consent", "model_name": "consentrecord", "field_name": "contact",
        "term": FIRST_NAME,
    }  # fmt: skip

    assert client.get(reverse("admin:autocomplete"), asked).status_code in (403, 404)


def test_whoever_sees_nobody_changes_nobody():
    contact = make_person()
    user, client = in_role(Role.ANALYST)
    wanted = ["change_contact", "add_contact", "add_consentrecord", "change_message"]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))

    answers = [
        client.post(f"{object_url(contact)}?edit", {"first_name": MASK}),
        client.post(reverse("admin:contacts_contact_act", args=[contact.pk, "unsubscribe"])),
        client.post(model_url(Contact), {"action": "unsubscribe", "_selected_action": contact.pk}),
        client.post(model_url(Contact, "add"), {"first_name": "New"}),
    ]

    contact.refresh_from_db()
    assert {answer.status_code for answer in answers} == {403}
    assert contact.first_name == FIRST_NAME
    assert Contact.objects.count() == 1


def test_what_is_about_nobody_can_be_changed_without_seeing_people():
    user, client = in_role(Role.ANALYST)
    user.user_permissions.add(Permission.objects.get(codename="add_product"))
    product = {"name": "Mug", "key": "mug", "price": "3", "currency": "EUR", "is_available": "on"}

    client.post(model_url(Product, "add"), product)

    assert Product.objects.get().name == "Mug"


def test_nobody_rises_above_their_role():
    superuser = StaffFactory(is_superuser=True)
    user, client = in_role(Role.ADMINISTRATOR)
    form = {
        "username": user.username, "is_active": "on", "is_staff": "on", "is_superuser": "on",
        "date_joined_0": "2026-03-02", "date_joined_1": "12:00",
    }  # fmt: skip

    own = client.post(object_url(user), form)
    above = [
        client.post(object_url(superuser), form),
        client.post(reverse("admin:auth_user_password_change", args=[superuser.pk]), {}),
        client.post(model_url(User, "delete", superuser.pk), {"post": "yes"}),
    ]

    user.refresh_from_db()
    assert own.status_code == 302
    assert not user.is_superuser
    assert {answer.status_code for answer in above} == {403}


def test_every_model_about_a_person_is_declared():
    """A page of a model that leads to a contact masks what it says, or says nothing of them."""
    undeclared = {
        model._meta.label
        for model in apps.get_models()
        if any(field.name == "email" for field in model._meta.get_fields())
        and not hasattr(model, "personal_fields")
    }

    assert undeclared <= {"accounts.User"}
