"""Templates and messages."""

import factory
from factory.django import DjangoModelFactory

from apps.messaging import links
from apps.messaging.models import Message, MessageContent, Template, TemplateVersion
from tests.factories.contacts import ContactFactory
from tests.instants import NOON


class TemplateFactory(DjangoModelFactory):
    class Meta:
        model = Template

    key = factory.Sequence(lambda number: f"template-{number}")
    name = factory.Sequence(lambda number: f"Template {number}")
    purpose_id = "email_marketing"


class TemplateVersionFactory(DjangoModelFactory):
    """A published text; `published_at=None` makes a draft."""

    class Meta:
        model = TemplateVersion

    template = factory.SubFactory(TemplateFactory)
    number = 1
    subject = "Hello {{ contact.first_name }}"
    html = (
        '<html><body><p>Hello {{ contact.first_name }}, <a href="https://shop.example/sale">look'
        '</a>.</p><p><a href="{{ links.unsubscribe }}">Unsubscribe</a></p></body></html>'
    )
    published_at = NOON


class MessageFactory(DjangoModelFactory):
    """A queued message to a contact with an address; consent is the test's to give."""

    class Meta:
        model = Message

    send_key = factory.Sequence(lambda number: f"test:{number}")
    contact = factory.SubFactory(ContactFactory)
    template_version = factory.SubFactory(TemplateVersionFactory)
    purpose_id = "email_marketing"
    origin_type = "test"
    origin_id = 1
    due_at = NOON
    queued_at = NOON


class MessageContentFactory(DjangoModelFactory):
    """What a message said, with its pixel and one tracked link, as it was handed over."""

    class Meta:
        model = MessageContent

    message = factory.SubFactory(MessageFactory)
    subject = "Your cart is still here"
    text = "Hello"
    links = factory.LazyFunction(lambda: ["https://shop.example/sale"])

    @factory.lazy_attribute
    def html(self) -> str:
        html = '<html><body><p><a href="https://shop.example/sale">Look</a></p></body></html>'
        hosts = links.written_hosts(html)
        public_id = self.message.public_id
        tracked, _ = links.track(html, public_id=public_id, campaign="test", hosts=hosts)
        return tracked
