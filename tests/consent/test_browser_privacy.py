"""Asking for one's data, proving whose it is and taking the copy, in a real browser."""

import re
import zipfile
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from apps.consent import links, rights
from apps.consent.models import PrivacyRequest
from apps.contacts.models import Contact
from apps.core import services as core
from tests.consent.conftest import PHONE
from tests.factories.contacts import ContactFactory

pytestmark = pytest.mark.django_db(transaction=True)


def link_in_mail(path: str) -> str:
    core.tick(now=timezone.now())
    found = re.search(rf"https?://\S+{path}[\w:-]+", str(mail.outbox[-1].body))
    assert found
    return found[0]


def ask(page: Any, contact: Contact, button: str) -> None:
    page.goto(links.preferences_url(contact.uuid))
    page.get_by_role("button", name=button).click()
    page.get_by_role("heading", name="Look into your mail").wait_for()


@pytest.mark.parametrize("has_scripts", [True, False])
def test_a_copy_from_the_preference_page_to_the_file(open_context, settings, tmp_path, has_scripts):
    settings.CUEPOST_HOME = tmp_path
    contact = ContactFactory(email="ada@example.com", first_name="Ada")
    page = open_context(java_script_enabled=has_scripts).new_page()

    ask(page, contact, "Send me a copy of my data")
    page.goto(link_in_mail("/privacy/confirm/"))
    before = PrivacyRequest.objects.get().status
    page.get_by_role("button", name="Yes, it’s me").click()
    page.get_by_role("heading", name="Thank you").wait_for()
    rights.go_on(now=timezone.now())
    link = link_in_mail("/privacy/copy/")
    with page.expect_download() as download:
        page.evaluate("link => { location.href = link }", link)

    assert before == "unverified"
    with zipfile.ZipFile(download.value.path()) as copy:
        assert "ada@example.com" in copy.read("summary.html").decode()


def test_an_erasure_by_a_person_who_has_read_what_it_means(open_context):
    contact = ContactFactory(email="ada@example.com")
    page = open_context().new_page()

    ask(page, contact, "Erase everything about me")
    page.goto(link_in_mail("/privacy/confirm/"))
    page.get_by_text("It can’t be undone").wait_for()
    page.get_by_role("button", name="Yes, it’s me").click()
    page.get_by_role("heading", name="Done").wait_for()
    rights.erasure.finish_all(now=timezone.now())

    contact.refresh_from_db()
    assert (contact.email, contact.erased_at is None) == (None, False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desk", "phone"])
def test_each_page_is_accessible_and_fits(open_context, violations, scheme, viewport):
    look = {"viewport": viewport} if viewport else {}
    contact = ContactFactory(email="ada@example.com")
    page = open_context(color_scheme=scheme, **look).new_page()
    faults = {}

    def look_at(name: str) -> None:
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        faults[name] = violations(page) + ([f"{width} pixels too wide"] if width > 0 else [])

    ask(page, contact, "Erase everything about me")
    look_at("asked")
    page.goto(link_in_mail("/privacy/confirm/"))
    look_at("confirm")
    page.get_by_role("button", name="Yes, it’s me").click()
    page.get_by_role("heading", name="Done").wait_for()
    look_at("confirmed")

    assert faults == {name: [] for name in faults}
