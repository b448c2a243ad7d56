"""Mails that ask somebody to confirm something: sent once, and forgotten once they are settled."""

from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction

from apps.consent import services as consent
from apps.consent.models import Suppression
from apps.consent.signals import mail_wanted
from apps.messaging import preview, publishing, servicemail, services
from apps.messaging.models import Message, ServiceMail, Template
from apps.messaging.rendering import TemplateError
from apps.messaging.services import MessageRequest
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

KEY = "confirm-signup"
VALUES = {
    "links": {"confirm": "https://cuepost.example/signup/confirm/abc"},
    "signup": {"form": "Tea news", "topics": ["Tea", "Offers"], "days": 7},
}


def ask(send_key: str = "signup:1:1", email: str = "ada@example.com") -> None:
    mail_wanted.send(
        sender=None, send_key=send_key, template_key=KEY, email=email, values=VALUES, now=NOON
    )


def fates() -> list[tuple[str, str, str]]:
    return list(ServiceMail.objects.order_by("id").values_list("status", "reason", "email"))


def test_what_a_lower_floor_asks_for_goes_out_once_and_is_forgotten():
    ask()
    ask()

    counts = [servicemail.deliver(now=NOON), servicemail.deliver(now=NOON)]

    (sent,) = mail.outbox
    assert counts == [1, 0]
    assert (sent.to, sent.subject) == (["ada@example.com"], "Please confirm: Tea news")
    assert "https://cuepost.example/signup/confirm/abc" in sent.body
    assert 'href="https://cuepost.example/signup/confirm/abc"' in sent.alternatives[0][0]
    assert "Tea, Offers" in sent.body
    assert "List-Unsubscribe" not in sent.extra_headers
    assert "unsubscribe" not in sent.alternatives[0][0].lower()
    assert fates() == [("sent", "", "")]
    assert ServiceMail.objects.get().values == {}


@pytest.mark.parametrize(
    ("reason", "count"),
    [
        (Suppression.Reason.UNSUBSCRIBED, 1),
        (Suppression.Reason.BOUNCED, 0),
        (Suppression.Reason.COMPLAINED, 0),
        (Suppression.Reason.MANUAL, 0),
    ],
)
def test_who_only_unsubscribed_may_ask_again(reason, count):
    consent.suppress(emails=["ada@example.com"], reason=reason, now=NOON)
    ask()

    servicemail.deliver(now=NOON)

    assert len(mail.outbox) == count
    assert fates() == [("sent", "", "")] if count else [("skipped", "suppressed", "")]


def test_a_mail_that_waited_a_day_is_of_no_use():
    ask()

    servicemail.deliver(now=NOON + timedelta(hours=25))

    assert (fates(), mail.outbox) == ([("skipped", "too_late", "")], [])


def test_a_worker_that_died_leaves_it_in_doubt():
    ask()
    ServiceMail.objects.update(status="sending", lease_until=NOON)

    count = servicemail.reap(now=NOON)
    servicemail.deliver(now=NOON)

    assert (count, fates(), mail.outbox) == (1, [("in_doubt", "worker_lost", "")], [])


def test_a_server_that_is_away_gets_it_later(settings, tmp_path):
    settings.EMAIL_BACKEND = "apps.messaging.backends.SmtpBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    ask()

    servicemail.deliver(now=NOON)

    row = ServiceMail.objects.get()
    assert fates() == [("queued", "unreachable", "ada@example.com")]
    assert row.due_at == NOON + timedelta(minutes=1)


def test_whoever_is_forgotten_gets_nothing_more():
    ask()
    ask("signup:2:1", "bob@example.com")

    servicemail.cancel(email="ada@example.com", now=NOON)
    servicemail.deliver(now=NOON)

    assert [sent.to for sent in mail.outbox] == [["bob@example.com"]]
    assert fates() == [("skipped", "erased", ""), ("sent", "", "")]


def test_a_broken_text_fails_and_says_so():
    ask()
    Template.objects.get(key=KEY).versions.update(subject="{{ nothing.at.all }}")
    servicemail.composition._compiled.clear()

    servicemail.deliver(now=NOON)

    assert (fates(), mail.outbox) == ([("failed", "undefined_variable", "")], [])
    servicemail.composition._compiled.clear()


def test_an_unknown_text_is_refused():
    with pytest.raises(servicemail.UnknownServiceText), transaction.atomic():
        servicemail.queue(send_key="1", template_key="none", email="a@b.de", values={}, now=NOON)

    assert not ServiceMail.objects.exists()


def test_no_workflow_sends_a_service_mail():
    request = MessageRequest("1", ContactFactory().pk, KEY, "test", 1)

    services.queue_messages(requests=[request], now=NOON)

    message = Message.objects.get()
    assert (message.status, message.reason) == ("skipped", "no_published_template")


def test_staff_can_change_the_text_but_not_take_its_link_out():
    template = Template.objects.get(key=KEY)

    with pytest.raises(TemplateError, match=r"links\.confirm"):
        services.publish(template=template, subject="Hi", html="<p>Hi</p>", now=NOON)
    version = services.publish(
        template=template, subject="Hi", html="<a href='{{ links.confirm }}'>Yes</a>", now=NOON
    )

    assert version.number == 2
    assert "somebody gave this address" in version.html
    assert "links.unsubscribe" not in version.html


def test_a_service_mail_can_be_previewed():
    template = Template.objects.get(key=KEY)
    version = template.versions.get()

    shown = preview.render(
        template=template,
        subject=version.subject,
        html=version.html,
        contact=preview.invented_contact(),
    )

    assert (shown.problem, shown.subject) == (None, "Please confirm: Newsletter")


def test_a_text_that_is_there_is_not_published_again():
    servicemail.install_text(key=KEY, name="Other", now=NOON)

    template = Template.objects.get(key=KEY)
    assert (template.name, template.versions.count()) == ("Please confirm your sign-up", 1)


def test_the_footer_leads_to_the_preferences():
    prepared = publishing.prepare(subject="Hi", html="<p>Hi</p>")

    assert "links.preferences" in prepared
