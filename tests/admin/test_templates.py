"""Texts: written, checked, published and looked at."""

import pytest
from django.urls import reverse

from apps.commerce.models import Cart
from apps.core.pages import model_url, object_url
from apps.messaging import preview
from apps.messaging.models import Template
from tests.admin.conftest import at_browser
from tests.factories.accounts import StaffFactory
from tests.factories.commerce import CartItemFactory, ProductFactory
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory
from tests.factories.messaging import MessageFactory, TemplateFactory, TemplateVersionFactory

pytestmark = pytest.mark.django_db

TEXT = {
    "name": "Welcome",
    "key": "welcome",
    "purpose": "email_marketing",
    "subject": "Hello {{ contact.first_name }}",
    "html": "<p>Hello {{ contact.first_name }}</p>",
}
CART = "{% for item in cart.items %}{{ item.name }} {% endfor %}"


def edit_url(template):
    return f"{object_url(template)}?edit"


def frame(staff, template, **query):
    url = reverse("admin:messaging_template_frame", args=[template.pk])
    return staff.get(url, query)


def test_a_new_text_is_published_at_once(staff):
    answer = staff.post(model_url(Template, "add"), TEXT)

    template = Template.objects.get(is_service=False)
    version = template.versions.get()
    assert answer.url == object_url(template)
    assert (version.number, version.subject) == (1, TEXT["subject"])
    assert version.published_at is not None
    assert "links.unsubscribe" in version.html


def test_a_changed_text_is_a_new_version(staff):
    template = TemplateVersionFactory().template

    staff.post(edit_url(template), {**TEXT, "html": "<p>New</p>"})

    assert list(template.versions.order_by("number").values_list("number", flat=True)) == [1, 2]
    assert Template.objects.get(is_service=False).key == template.key


def test_a_changed_name_alone_makes_no_version(staff):
    version = TemplateVersionFactory()
    text = {"subject": version.subject, "html": version.html}

    staff.post(edit_url(version.template), {**TEXT, **text, "name": "Renamed"})

    assert Template.objects.get(is_service=False).name == "Renamed"
    assert version.template.versions.count() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"html": "{{ contact.first_name"}, "The template has a mistake in its Liquid"),
        ({"html": "{{ stranger }}"}, "no value here: stranger"),
        ({"subject": "{{ contact.first_name | shout }}"}, "There is no filter “shout”."),
        ({"html": ""}, "This field is required."),
    ],
)
def test_a_mistake_is_told_at_the_form_and_nothing_is_published(staff, change, message):
    version = TemplateVersionFactory()

    answer = staff.post(edit_url(version.template), {**TEXT, **change})

    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert version.template.versions.count() == 1


def test_the_form_of_an_older_text_holds_the_newest_one(staff):
    version = TemplateVersionFactory(subject="Newest")

    assert 'value="Newest"' in staff.get(edit_url(version.template)).content.decode()


def test_a_text_is_shown_to_the_contact_that_was_chosen(staff):
    template = TemplateVersionFactory().template
    ContactFactory(first_name="Grace", email="grace@example.com")
    ContactFactory(first_name="Ada")

    chosen = frame(staff, template, contact="Grace@example.com")
    newest = frame(staff, template)
    page = staff.get(object_url(template), {"contact": "grace@example.com"}).content.decode()

    assert "Hello Grace" in chosen.content.decode()
    assert "Hello Ada" in newest.content.decode()
    assert "Hello Grace" in page
    assert "contact=grace%40example.com" in page
    assert "sandbox;" in chosen.headers["Content-Security-Policy"]


def test_a_test_contact_goes_before_newer_ones():
    tester = ContactFactory(is_test=True)
    ContactFactory()

    assert preview.find_contact("") == tester


def test_a_text_is_shown_with_the_cart_that_the_contact_left(staff):
    template = TemplateVersionFactory(html=f"<p>{CART}</p>").template
    contact = ContactFactory()
    CartItemFactory(cart__contact=contact, name="Heron teapot")

    assert "Heron teapot" in frame(staff, template).content.decode()


def test_a_text_is_shown_with_what_its_last_mail_knew(staff):
    version = TemplateVersionFactory(html="<p>{{ event.properties.name }}</p>")
    MessageFactory(
        template_version=version, context={"event": {"name": "X", "properties": {"name": "Mug"}}}
    )

    assert "Mug" in frame(staff, version.template).content.decode()


def test_a_text_is_shown_with_the_last_order(staff):
    template = TemplateVersionFactory(html="<p>{{ order.order_id }}</p>").template
    EventFactory(contact=ContactFactory(), name="Order Completed", properties={"order_id": "A-7"})

    assert "A-7" in frame(staff, template).content.decode()


def test_without_people_a_text_is_shown_to_somebody_invented(staff):
    ProductFactory(name="Mug")
    template = TemplateVersionFactory(html=f"<p>{{{{ first_name }}}} {CART}</p>").template

    html = frame(staff, template).content.decode()

    assert "Ada Mug" in html
    assert not Cart.objects.exists()


def test_people_are_not_shown_to_whoever_may_not_see_them(db):
    template = TemplateVersionFactory().template
    ContactFactory(first_name="Grace", email="grace@example.com")
    client = at_browser(StaffFactory(permissions=["messaging.view_template"]))

    html = frame(client, template, contact="grace@example.com").content.decode()

    assert "Hello Ada" in html


def test_what_can_not_be_shown_says_why(staff):
    template = TemplateVersionFactory(html="<p>{{ event.properties.missing }}</p>").template
    ContactFactory()

    page = staff.get(object_url(template)).content.decode()

    assert "The template shows a variable that has no value here" in page
    assert frame(staff, template).status_code == 200


def test_an_earlier_version_can_be_looked_at(staff):
    template = TemplateFactory()
    for number in (1, 2):
        TemplateVersionFactory(template=template, number=number, html=f"<p>Text {number}</p>")

    assert "Text 1" in frame(staff, template, version="1").content.decode()
    assert "Text 2" in frame(staff, template, version="99").content.decode()
    assert "Text 2" in frame(staff, template).content.decode()


def test_a_template_without_text_asks_for_one(staff):
    template = TemplateFactory()

    assert "Write its text first." in staff.get(object_url(template)).content.decode()
    assert "There is nothing to show." in frame(staff, template).content.decode()
    assert "not yet" in staff.get(model_url(Template)).content.decode()
