"""What is too old goes, and nothing else."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.commerce.models import Cart
from apps.consent import retention, rights, services
from apps.consent.models import AnonymousConsent, ConsentRecord, Retention
from apps.consent.registry import stores
from apps.events import partitions
from apps.events.models import Event, RejectedEvent
from apps.messaging.models import Message, MessageContent
from apps.workflows.models import StepLog
from tests.factories.accounts import StaffFactory
from tests.factories.commerce import CartFactory
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory, RejectedEventFactory
from tests.factories.messaging import MessageContentFactory
from tests.factories.workflows import EnrollmentFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()


def ago(days: int):
    return NOW - timedelta(days=days)


def test_every_store_has_its_rule():
    assert set(Retention.objects.values_list("key", flat=True)) == set(stores())


def test_a_month_of_events_goes_as_a_whole_when_its_last_day_is_too_old():
    old = ago(1095 + 62)
    partitions.ensure(months=[old, NOW])
    contact = ContactFactory()
    EventFactory(contact=contact, received_at=old, occurred_at=old)
    kept = EventFactory(contact=contact, received_at=NOW, occurred_at=NOW)

    retention.apply(now=NOW)

    assert list(Event.objects.values_list("pk", flat=True)) == [kept.pk]
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"events_event_{old:%Y_%m}"])
        assert cursor.fetchone() == (None,)
    # It can be made anew, should somebody need it.
    assert partitions.ensure(months=[old]) == 1
    partitions.drop(f"events_event_{old:%Y_%m}")


def test_events_of_unknown_browsers_go_sooner():
    partitions.ensure(months=[ago(91)])
    EventFactory(contact=None, anonymous_id="b", received_at=ago(91), occurred_at=ago(91))
    known = EventFactory(contact=ContactFactory(), received_at=ago(91), occurred_at=ago(91))
    counted = EventFactory(contact=None, anonymous_id="", received_at=ago(91), occurred_at=ago(91))

    retention.apply(now=NOW)

    assert set(Event.objects.values_list("pk", flat=True)) == {known.pk, counted.pk}


def test_texts_and_contexts_of_old_mails_go_and_the_mails_stay():
    content = MessageContentFactory()
    Message.objects.update(
        queued_at=ago(800), status="skipped", context={"event": {}}, email="ada@example.com",
        reason="no_consent", reason_values={"last": "denied"},
    )  # fmt: skip

    retention.apply(now=NOW)

    assert not MessageContent.objects.exists()
    message = Message.objects.get(pk=content.message_id)
    assert (message.status, message.reason) == ("skipped", "no_consent")
    assert (message.context, message.reason_values, message.email) == ({}, {}, "")


def test_a_mail_that_still_waits_keeps_what_it_is_made_of():
    MessageContentFactory()
    Message.objects.update(queued_at=ago(800), context={"event": {"name": "Ping"}})

    retention.apply(now=NOW)

    assert Message.objects.get().context == {"event": {"name": "Ping"}}


def test_evidence_goes_only_of_what_no_longer_holds():
    contact = ContactFactory()
    grant(contact, "email_marketing", ago(1200))
    deny(contact, "email_marketing", ago(1100))

    retention.apply(now=NOW)

    first, last = ConsentRecord.objects.order_by("pk")
    assert first.forgotten_at is not None
    assert last.forgotten_at is None
    assert services.verify_chain(contact) == []


def test_carts_of_unknown_browsers_go_and_those_of_contacts_stay():
    CartFactory(contact=None, anonymous_id="b", changed_at=ago(91))
    kept = CartFactory(contact=ContactFactory(), changed_at=ago(91))

    retention.apply(now=NOW)

    assert list(Cart.objects.values_list("pk", flat=True)) == [kept.pk]


def test_values_of_passages_go_once_they_have_ended():
    old = {"context": {"event": {}}, "started_at": ago(800), "entered_at": ago(800)}
    ended = EnrollmentFactory(**old, status="completed", finished_at=ago(731), wake_at=None)
    inside = EnrollmentFactory(**old, wake_at=NOW)
    for enrollment in (ended, inside):
        StepLog.objects.create(
            enrollment=enrollment, action="branch", values={"country": "DE"}, logged_at=ago(750)
        )

    retention.apply(now=NOW)

    left = StepLog.objects.order_by("enrollment").values_list("enrollment__context", "values")
    assert list(left) == [({}, {}), ({"event": {}}, {"country": "DE"})]


def test_answers_to_the_banner_go():
    for days in (1096, 1000):
        AnonymousConsent.objects.create(
            browser="b", choice={}, action="accept_all", recorded_at=ago(days)
        )

    retention.apply(now=NOW)

    assert AnonymousConsent.objects.get().recorded_at == ago(1000)


def test_copies_are_kept_for_as_long_as_their_rule_says(settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path
    Retention.objects.filter(key=rights.COPIES).update(keep_days=3)
    request = rights.ask(contact=ContactFactory(), kind="export", by="staff", now=NOW)
    rights.go_on(now=NOW)
    request.refresh_from_db()
    path = rights.path_of(request)

    assert request.file_until == NOW + timedelta(days=3)
    assert path.exists()
    retention.apply(now=NOW + timedelta(days=3, seconds=1))
    assert not path.exists()


def test_a_month_that_is_being_read_goes_the_next_time(caplog):
    old = ago(1095 + 62)
    partitions.ensure(months=[old])
    name = f"events_event_{old:%Y_%m}"
    reader = connection.copy()
    with reader.cursor() as cursor:
        cursor.execute(f"BEGIN; SELECT count(*) FROM {name}")  # noqa: S608 -- a month's name
        first = retention.apply(now=NOW)["events"]
        cursor.execute("ROLLBACK")
    reader.close()

    second = retention.apply(now=NOW)["events"]

    assert (first, second) == (0, 1)
    assert "it goes the next time" in caplog.text


def test_rejected_events_go():
    RejectedEventFactory(rejected_at=ago(91))
    young = RejectedEventFactory(rejected_at=ago(80))

    retention.apply(now=NOW, batch=1)

    assert list(RejectedEvent.objects.values_list("pk", flat=True)) == [young.pk]


@pytest.mark.parametrize(
    ("key", "days"), [("events", 44), ("anonymous_events", 1), ("privacy_exports", None)]
)
def test_a_rule_that_would_harm_is_refused(client, key, days):
    client.force_login(StaffFactory(is_superuser=True))
    before = Retention.objects.get(pk=key).keep_days

    client.post(f"/admin/consent/retention/{key}/change/", {"keep_days": days or ""})

    assert Retention.objects.get(pk=key).keep_days == before


def test_a_rule_without_days_keeps_all():
    Retention.objects.update(keep_days=None)
    RejectedEventFactory(rejected_at=ago(4000))

    assert retention.apply(now=NOW) == {}
    assert RejectedEvent.objects.exists()


def test_a_dry_run_says_what_would_go_and_takes_nothing(capsys):
    RejectedEventFactory(rejected_at=ago(91))

    call_command("apply_retention", dry_run=True)

    assert "Rejected events: 1 would go (kept 90 days)" in capsys.readouterr().out
    assert RejectedEvent.objects.exists()


def test_the_command_says_what_is_gone(capsys):
    RejectedEventFactory(rejected_at=ago(91))

    call_command("apply_retention")

    assert "rejected_events: 1 gone" in capsys.readouterr().out


def test_a_rule_without_data_is_left_alone():
    rule = Retention.objects.create(key="of_an_app_that_is_gone", keep_days=1)

    retention.check(key=rule.key, keep_days=None)

    assert retention.count_due(rule=rule, now=NOW) == 0
    assert rule.key not in retention.apply(now=NOW)


def test_only_months_are_dropped():
    with pytest.raises(ValueError, match="no month"):
        partitions.drop("contacts_contact")


def test_staff_sees_what_would_go_and_changes_the_days(client):
    client.force_login(StaffFactory(is_superuser=True))
    RejectedEventFactory(rejected_at=ago(20))
    url = "/admin/consent/retention/"

    client.post(f"{url}rejected_events/change/", {"keep_days": 10})

    assert Retention.objects.get(pk="rejected_events").keep_days == 10
    assert "Rejected events" in client.get(url).content.decode()
    assert retention.apply(now=NOW)["rejected_events"] == 1
