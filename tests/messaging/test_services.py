"""Asking for mails, and settling those in doubt by hand."""

import pytest

from apps.messaging import services
from apps.messaging.models import Message
from apps.messaging.services import MessageRequest
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory
from tests.factories.messaging import MessageFactory, TemplateFactory, TemplateVersionFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def request(send_key: str, template_key: str, **fields: object) -> MessageRequest:
    return MessageRequest(
        send_key=send_key,
        contact_id=ContactFactory().pk,
        template_key=template_key,
        origin_type="test",
        origin_id=7,
        **fields,
    )


def test_queue_messages_takes_the_newest_published_text_and_each_occasion_once():
    template = TemplateFactory()
    versions = [TemplateVersionFactory(template=template, number=number) for number in (1, 2)]
    TemplateVersionFactory(template=template, number=3, published_at=None)
    asked = request("k1", template.key, step_id="s1", context={"cart_key": "c1"}, priority=10)

    counts = [services.queue_messages(requests=[asked], now=NOON) for _ in range(2)]

    message = Message.objects.get()
    assert counts == [1, 0]
    assert (message.status, message.template_version) == ("queued", versions[1])
    assert (message.contact_id, message.purpose_id) == (asked.contact_id, "email_marketing")
    assert (message.step_id, message.context, message.priority) == ("s1", {"cart_key": "c1"}, 10)
    assert (message.origin_type, message.origin_id) == ("test", 7)
    assert (message.due_at, message.queued_at, message.closed_at) == (NOON, NOON, None)


@pytest.mark.parametrize("has_draft", [True, False])
def test_queue_messages_tells_where_there_is_no_text(has_draft):
    key = TemplateVersionFactory(published_at=None).template.key if has_draft else "nothing"

    count = services.queue_messages(requests=[request("k1", key)], now=NOON)

    message = Message.objects.get()
    assert count == 1
    assert (message.status, message.reason) == ("skipped", "no_published_template")
    assert (message.reason_values, message.closed_at) == ({"template": key}, NOON)


def test_queue_messages_asks_nothing_of_the_database_for_nobody(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert services.queue_messages(requests=[], now=NOON) == 0


@pytest.mark.parametrize(
    ("was_sent", "becomes"),
    [(True, ("sent", "settled_as_sent", NOON)), (False, ("failed", "settled_as_not_sent", None))],
)
def test_only_what_is_in_doubt_is_settled_by_hand(was_sent, becomes):
    queued, doubtful = MessageFactory.create_batch(2)
    record = grant(doubtful.contact, "email_marketing", NOON)
    Message.objects.filter(pk=doubtful.pk).update(
        status="in_doubt", reason="worker_lost", gated_at=NOON, consent_record=record
    )

    count = services.settle_in_doubt(
        ids=[queued.pk, doubtful.pk], was_sent=was_sent, by="ann", now=NOON
    )

    queued.refresh_from_db()
    doubtful.refresh_from_db()
    assert (count, queued.status) == (1, "queued")
    assert (doubtful.status, doubtful.reason, doubtful.sent_at) == becomes
    assert (doubtful.reason_values, doubtful.closed_at) == ({"by": "ann"}, NOON)
