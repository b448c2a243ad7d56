"""The access log: each page that shows a person leaves a note, and no note can be changed."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import DELETION
from django.db import ProgrammingError, transaction
from django.urls import reverse

from apps.accounts import services
from apps.accounts.models import AccessRecord
from apps.commerce.models import Product
from apps.contacts.models import Contact
from apps.core.pages import model_url, object_url
from apps.core.roles import Role
from apps.core.signals import personal_data_accessed
from tests.accounts.crawling import crawl, in_role
from tests.accounts.person import ALL, EMAIL, FIRST_NAME, LAST_NAME, make_person
from tests.factories.accounts import StaffFactory
from tests.factories.commerce import ProductFactory
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def notes() -> list[tuple]:
    return list(
        AccessRecord.objects.order_by("pk").values_list(
            "user__username", "kind", "what", "contact_ids", "path"
        )
    )


def test_looking_at_a_person_is_noted():
    contact = ContactFactory(first_name=FIRST_NAME)
    user, client = in_role(Role.MARKETER)

    client.get(object_url(contact))

    (note,) = notes()
    assert note == (user.username, "view", "contact, identity", [contact.pk], object_url(contact))


def test_a_search_is_noted_with_whom_it_found_and_without_its_words():
    contact = ContactFactory(email=EMAIL)
    user, client = in_role(Role.MARKETER)

    client.get(model_url(Contact), {"q": EMAIL})

    assert notes() == [(user.username, "search", "contact", [contact.pk], model_url(Contact))]


def test_a_change_is_noted_and_djangos_own_log_names_nobody():
    contact = ContactFactory(email=EMAIL, first_name=FIRST_NAME, last_name=LAST_NAME)
    user, client = in_role(Role.MARKETER)
    form = {"first_name": FIRST_NAME, "email": EMAIL, "attributes": "{}", "phone": "1"}

    client.post(f"{object_url(contact)}?edit", form)

    entry = user.logentry_set.get()
    assert notes()[0][:2] == (user.username, "change")
    assert entry.object_repr == f"contact {contact.pk}"
    assert not any(text in entry.change_message for text in ALL)


def test_djangos_own_log_names_what_is_no_person():
    product = ProductFactory(name="Heron teapot")
    user, client = in_role(Role.MARKETER)

    client.post(model_url(Product, "delete", product.pk), {"post": "yes"})

    entry = user.logentry_set.get()
    assert (entry.object_repr, entry.action_flag) == ("Heron teapot", DELETION)


def test_each_page_that_shows_a_person_leaves_a_note():
    make_person()
    _, client = in_role(Role.ADMINISTRATOR)
    rows = [
        object_url(row)
        for model in admin.site._registry
        for row in model._default_manager.all()[:3]
    ]

    pages = crawl(client, *rows)

    shown = {
        url.partition("?")[0]
        for url, page in pages.items()
        if any(text in page for text in (EMAIL, FIRST_NAME, LAST_NAME))
    }
    noted = set(AccessRecord.objects.values_list("path", flat=True))
    assert len(shown) > 10
    assert shown - noted == set()


def test_an_analyst_leaves_no_note_as_they_see_nobody():
    contact = make_person()
    _, client = in_role(Role.ANALYST)

    client.get(object_url(contact))

    assert notes() == []


def test_pages_about_nobody_leave_no_note():
    user, client = in_role(Role.ADMINISTRATOR)

    for url in ("/admin/", object_url(user), model_url(AccessRecord)):
        client.get(url)

    assert notes() == []


def test_what_other_parts_announce_is_noted():
    user = StaffFactory()

    personal_data_accessed.send(
        sender=None, user=user, kind="export", what="contacts as CSV", count=12, now=NOON
    )
    personal_data_accessed.send(
        sender=None, user=None, kind="erase", what="everything", contact_ids=[7], now=NOON
    )

    assert list(AccessRecord.objects.order_by("pk").values_list("kind", "people_count")) == [
        ("export", 12),
        ("erase", 1),
    ]


def test_a_crowd_is_counted_and_not_numbered(monkeypatch):
    monkeypatch.setattr(services, "MAX_NUMBERED", 2)

    record = services.record_access(
        user=None, kind="view", what="contact", contact_ids=[1, 2, 3], now=NOON
    )

    assert (record.contact_ids, record.people_count) == ([], 3)


@pytest.mark.parametrize("change", ["update", "delete"])
def test_a_note_can_not_be_changed(change):
    services.record_access(user=None, kind="view", what="contact", contact_ids=[1], now=NOON)
    rows = AccessRecord.objects.all()

    with pytest.raises(ProgrammingError), transaction.atomic():
        rows.delete() if change == "delete" else rows.update(kind="search")

    assert AccessRecord.objects.get().kind == "view"


def test_the_log_is_for_privacy_officers_and_administrators():
    answers = {role: in_role(role)[1].get(model_url(AccessRecord)).status_code for role in Role}

    assert answers == {
        Role.MARKETER: 403,
        Role.ANALYST: 403,
        Role.PRIVACY_OFFICER: 200,
        Role.ADMINISTRATOR: 200,
    }


def test_the_log_tells_who_saw_somebody():
    _, client = in_role(Role.PRIVACY_OFFICER)
    wanted = services.record_access(
        user=None, kind="view", what="contact", contact_ids=[4, 71], now=NOON
    )
    services.record_access(user=None, kind="view", what="contact", contact_ids=[7], now=NOON)
    found = {
        term: list(client.get(model_url(AccessRecord), {"q": term}).context["cl"].result_list)
        for term in ("71", "ada", "9" * 30)
    }

    page = client.get(object_url(wanted)).content.decode()

    assert found == {"71": [wanted], "ada": [], "9" * 30: []}
    assert reverse("admin:contacts_contact_change", args=[71]) in page


def test_the_newest_note_stands_first():
    _, client = in_role(Role.PRIVACY_OFFICER)
    at = [NOON, NOON + timedelta(minutes=1)]
    first, second = (
        services.record_access(user=None, kind="view", what="contact", now=one) for one in at
    )

    rows = client.get(model_url(AccessRecord)).context["cl"].result_list

    assert list(rows) == [second, first]
