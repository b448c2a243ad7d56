"""Signing up, confirming and choosing, in a real browser."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from apps.consent import links, policy, services
from apps.consent.models import MailPreference, PendingSignup, SignupForm
from apps.contacts.models import Contact
from apps.core import services as core
from apps.messaging.models import Message
from tests.consent.conftest import PHONE
from tests.factories.consent import SignupFormFactory, TopicFactory, grant
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageFactory

pytestmark = pytest.mark.django_db(transaction=True)

LOOKS = [
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"color_scheme": "light", "viewport": PHONE},
    {"color_scheme": "dark", "viewport": PHONE},
]


def make_form(**fields: Any) -> SignupForm:
    return SignupFormFactory(
        name="Tea news",
        intro="Twice a month, what is new in the tea room.",
        topics=["tea", "offers"],
        extra_fields=["first_name"],
        **fields,
    )


def link_in_mail() -> str:
    core.tick(now=timezone.now())
    (sent,) = mail.outbox
    found = re.search(r"https?://\S+/signup/confirm/[\w:-]+", sent.body)
    assert found
    return found[0]


def sign_up(page: Any, form: SignupForm) -> None:
    page.goto(f"/forms/{form.key}")
    page.get_by_label("E-mail address").fill("ada@example.com")
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("Tea", exact=True).check()
    page.get_by_role("button", name="Sign up").click()
    page.get_by_role("heading", name="Thank you").wait_for()


@pytest.mark.parametrize("has_scripts", [True, False])
def test_from_the_form_to_a_mail_that_may_be_sent(open_context, has_scripts):
    form = make_form()
    page = open_context(java_script_enabled=has_scripts).new_page()

    sign_up(page, form)
    before = Contact.objects.count()
    page.goto(link_in_mail())
    page.get_by_role("button", name="Yes, write to me").click()
    page.get_by_role("heading", name="You’re in").wait_for()
    contact = Contact.objects.get()
    now = timezone.now()
    MessageFactory(contact=contact, due_at=now, queued_at=now)
    core.tick(now=now)

    assert before == 0
    assert contact.first_name == "Ada"
    assert Message.objects.get().status == "sent"
    assert mail.outbox[-1].to == ["ada@example.com"]


def test_a_mistake_is_told_and_can_be_put_right(open_context):
    form = make_form()
    page = open_context().new_page()
    page.goto(f"/forms/{form.key}")
    page.get_by_label("E-mail address").fill("ada")
    page.get_by_role("button", name="Sign up").click()

    alert = page.get_by_role("alert")
    alert.get_by_role("link", name="Write an e-mail address").click()
    focused = page.evaluate("document.activeElement.id")
    page.keyboard.press("End")
    page.keyboard.type("@example.com")
    page.get_by_label("Offers").check()
    page.get_by_role("button", name="Sign up").click()
    page.get_by_role("heading", name="Thank you").wait_for()

    assert focused == "email"
    assert PendingSignup.objects.get().details["topics"] == ["offers"]


@pytest.mark.parametrize("has_scripts", [True, False])
def test_choosing_on_the_preference_page(open_context, has_scripts):
    contact = ContactFactory(email="ada@example.com", locale="en")
    TopicFactory(key="tea", name="Tea letters")
    TopicFactory(key="offers", name="Offers")
    grant(contact, "email_marketing", timezone.now() - timedelta(days=1))
    page = open_context(java_script_enabled=has_scripts).new_page()
    page.goto(links.preferences_url(contact.uuid))

    page.get_by_label("Offers", exact=True).uncheck()
    page.get_by_label("One mail a week").check()
    page.get_by_label("Pause for 30 days").check()
    page.get_by_label("Language").select_option("de")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").get_by_text("Saved").wait_for()
    boxes = [page.get_by_label(label, exact=True) for label in ("Tea letters", "Offers")]
    shown = [box.is_checked() for box in boxes]

    contact.refresh_from_db()
    wish = MailPreference.objects.get()
    now = timezone.now()
    assert shown == [True, False]
    assert (wish.frequency, wish.is_paused(now), contact.locale) == ("weekly", True, "de")
    assert not policy.allows(contact, "email_marketing", now, topic="offers").is_allowed

    page.get_by_role("button", name="Turn everything off").click()
    page.get_by_text("Everything is off").wait_for()

    assert not policy.allows(contact, "email_marketing", timezone.now()).is_allowed
    assert services.is_suppressed("ada@example.com")


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark", "light-phone", "dark-phone"])
def test_every_page_is_accessible_and_fits(open_context, violations, look):
    form = make_form()
    contact = ContactFactory(email="ada@example.com")
    TopicFactory(key="tea", name="Tea letters", description="What is new in the tea room.")
    page = open_context(extra_http_headers={"Sec-GPC": "1"}, **look).new_page()
    faults = {}

    def look_at(name: str) -> None:
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        wide = [f"{width} pixels too wide"] if width > 0 else []
        faults[name] = violations(page) + wide

    page.goto(f"/forms/{form.key}")
    look_at("form")
    page.get_by_role("button", name="Sign up").click()
    page.get_by_role("alert").wait_for()
    look_at("form with problems")
    sign_up(page, form)
    look_at("sent")
    page.get_by_role("button", name="again").click()
    look_at("sent again")
    link = link_in_mail()
    page.goto(link)
    look_at("confirm")
    page.get_by_role("button", name="Yes, write to me").click()
    look_at("confirmed")
    page.goto(links.preferences_url(contact.uuid))
    look_at("preferences")
    page.get_by_role("button", name="Save").click()
    look_at("saved")
    page.goto("/preferences/nothing")
    look_at("no link")

    assert faults == {name: [] for name in faults}
