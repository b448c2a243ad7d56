"""After an erasure nobody finds the person, whatever was being done with them."""

from datetime import timedelta
from threading import Thread

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from apps.commerce.models import Cart, Order
from apps.consent import erasure, services, signups
from apps.consent.models import ConsentRecord, Erasure, Suppression
from apps.consent.signals import mail_wanted
from apps.contacts import merging
from apps.contacts.models import Contact, Identity, MergeLog
from apps.core import services as core
from apps.events.models import Event, InboxEvent
from apps.messaging.models import Message, MessageContent, ServiceMail
from apps.workflows.models import Enrollment
from tests.factories.consent import SignupFormFactory
from tests.factories.contacts import ContactFactory
from tests.privacy import person

pytestmark = pytest.mark.django_db(transaction=True)


def erase(contact: Contact) -> Erasure:
    now = timezone.now()
    row = erasure.begin(contact=contact, by="ada herself", now=now)
    assert erasure.finish(erasure=row, now=now, pause=lambda seconds: None)
    row.refresh_from_db()
    return row


def test_nothing_in_the_database_holds_the_person(client):
    contact = person.leave_traces(client)
    before = person.traces()

    erase(contact)

    assert {line.split(" has ")[0] for line in before} >= {
        "public.contacts_contact",
        "public.contacts_identity",
        "public.consent_consentrecord",
        "public.consent_anonymousconsent",
        "public.consent_pendingsignup",
        "public.consent_privacyrequest",
        "public.contacts_importrow",
        "public.contacts_mergelog",
        "public.events_inboxevent",
        "public.events_rejectedevent",
        "public.commerce_cart",
        "public.commerce_order",
        "public.messaging_message",
        "public.workflows_enrollment",
        "public.django_admin_log",
    }
    assert person.traces() == []
    assert not MessageContent.objects.exists()


def test_what_was_counted_stays_counted(client):
    contact = person.leave_traces(client)
    names = sorted(Event.objects.filter(contact=contact).values_list("name", flat=True))
    sent = Message.objects.filter(contact=contact, status="sent").count()

    erase(contact)

    left = Event.objects.filter(contact=None, anonymous_id="").values_list("name", flat=True)
    assert sorted(left) == names
    order = Order.objects.get()
    assert (order.contact, str(order.total), order.currency) == (None, "22.00", "EUR")
    assert order.items == [{"product_id": "cup", "price": 11, "quantity": 1}]
    assert not Cart.objects.exists()
    assert Message.objects.filter(status="sent").count() == sent > 0


def test_the_ledger_still_holds_and_the_address_stays_silent(client):
    contact = person.leave_traces(client)
    records = ConsentRecord.objects.filter(contact=contact).count()

    erase(contact)

    assert services.verify_chain(contact) == []
    assert ConsentRecord.objects.filter(contact=contact).count() == records > 0
    assert services.is_suppressed(person.EMAIL)
    # Of the contact who was merged into them, too.
    assert services.is_suppressed("twin@example.com")
    reasons = Suppression.objects.values_list("reason", flat=True)
    assert set(reasons) == {Suppression.Reason.ERASED}


def test_who_was_inside_leaves_and_what_was_queued_is_called_off(client):
    contact = person.leave_traces(client)
    Enrollment.objects.filter(contact=contact).update(
        status="live", wake_at=timezone.now(), finished_at=None, exit_reason=""
    )
    message = Message.objects.filter(contact=contact).first()
    assert message is not None
    Message.objects.filter(pk=message.pk).update(status="queued", sent_at=None, closed_at=None)
    mail.outbox.clear()

    erase(contact)
    core.tick(now=timezone.now() + timedelta(days=2))

    assert list(Enrollment.objects.values_list("status", "exit_reason")) == [("exited", "erased")]
    message.refresh_from_db()
    assert (message.status, message.reason) == ("skipped", "erased")
    assert mail.outbox == []


def test_what_comes_later_under_the_old_names_brings_nothing_back(client):
    contact = person.leave_traces(client)
    erase(contact)
    key = person.events.create_source(name="Late", now=timezone.now())[1]

    person.post(
        client,
        "track",
        {"event": "Product Viewed", "anonymousId": person.BROWSER, "writeKey": key}
        | {"context": {"consent": person.CONSENT}},
    )
    person.post(
        client,
        "identify",
        {"userId": person.USER_ID, "traits": {"email": person.EMAIL}, "writeKey": key}
        | {"context": {"consent": {"categoryPreferences": {"email_marketing": True}}}},
    )
    core.tick(now=timezone.now())

    newcomer = Contact.objects.get(external_id=person.USER_ID)
    assert newcomer.pk != contact.pk
    assert not newcomer.orders.exists()
    assert services.is_suppressed(person.EMAIL)


def test_who_signs_up_anew_is_somebody_new_and_is_written_to(client):
    erased = person.leave_traces(client)
    erase(erased)
    form = SignupFormFactory(is_double_opt_in=True)
    entry = signups.Entry(email=person.EMAIL, texts={}, topics=[], trace=signups.Trace())
    now = timezone.now()
    mail.outbox.clear()

    asked_for = signups.sign_up(form=form, entry=entry, now=now)
    core.tick(now=now + timedelta(seconds=1))
    asked = [letter.to for letter in mail.outbox]
    signups.confirm(signup_uuid=asked_for.uuid, trace=signups.Trace(), now=now)

    assert asked == [[person.EMAIL]]
    assert Contact.objects.get(email=person.EMAIL).pk != erased.pk
    assert not services.is_suppressed(person.EMAIL)


def test_who_was_merged_into_them_is_nobody_either():
    now = timezone.now()
    kept, merged = ContactFactory(email="ada@example.com"), ContactFactory()
    merging.merge(survivor_id=kept.pk, merged_id=merged.pk, by="staff", now=now)
    old = merged.uuid

    erase(kept)

    merged.refresh_from_db()
    assert merged.erased_at is not None
    assert merged.uuid != old
    assert not MergeLog.objects.exists()


def test_an_erasure_waits_for_the_batch_that_knows_the_person(client):
    contact = ContactFactory(email="ada@example.com")
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN; SELECT number FROM events_shard FOR UPDATE")
        waiting = Thread(target=begin_elsewhere, args=[contact.pk])
        waiting.start()
        waiting.join(0.5)
        # The batch can still write the person down: nobody has locked them yet.
        cursor.execute("SET lock_timeout = '1s'; SELECT 1 FROM contacts_contact FOR UPDATE")
        was_waiting = waiting.is_alive()
        cursor.execute("COMMIT")
    other.close()
    waiting.join(10)

    contact.refresh_from_db()
    assert was_waiting
    assert contact.erased_at is not None


def begin_elsewhere(contact_id: int) -> None:
    contact = Contact.objects.get(pk=contact_id)
    erasure.begin(contact=contact, by="staff", now=timezone.now())
    connection.close()


def test_an_erasure_that_was_broken_off_goes_on(client, monkeypatch):
    contact = person.leave_traces(client)
    now = timezone.now()
    row = erasure.begin(contact=contact, by="staff", now=now)
    died = 0

    for holding in erasure.holdings():
        # Each time it dies after the first row of the next holding.
        holding.erase(person.Subject(contact.pk), now, 1)
        died += 1
    done = erasure.finish_all(now=now, pause=lambda seconds: None)

    assert (done, died) == (1, len(erasure.holdings()))
    assert person.traces() == []
    row.refresh_from_db()
    assert (row.names, row.finished_at) == ({}, now)


def test_it_waits_for_a_mail_that_is_being_handed_over(client):
    contact = person.leave_traces(client)
    now = timezone.now()
    Message.objects.filter(contact=contact, status="sent").update(
        status="sending", lease_until=now, sent_at=None
    )
    row = erasure.begin(contact=contact, by="staff", now=now)
    waits = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        Message.objects.filter(status="sending").update(status="sent", lease_until=None)

    assert erasure.finish(erasure=row, now=now, pause=pause)
    assert len(waits) == 1
    assert person.traces() == []


def test_it_gives_up_for_now_on_a_mail_that_never_comes_to_an_end(client):
    contact = person.leave_traces(client)
    now = timezone.now()
    Message.objects.filter(contact=contact, status="sent").update(
        status="sending", lease_until=now, sent_at=None
    )
    row = erasure.begin(contact=contact, by="staff", now=now)

    is_done = erasure.finish(erasure=row, now=now, pause=lambda seconds: None)

    row.refresh_from_db()
    assert (is_done, row.finished_at) == (False, None)
    assert row.names["emails"] == [person.EMAIL, "twin@example.com"]


def test_begun_twice_it_is_one(client):
    contact = ContactFactory(email="ada@example.com")

    rows = {erasure.begin(contact=contact, by="x", now=timezone.now()).pk for _ in range(2)}

    assert len(rows) == 1


def test_a_service_mail_on_its_way_is_waited_for(client):
    contact = ContactFactory(email="ada@example.com")
    now = timezone.now()
    mail_wanted.send(
        sender=Contact,
        send_key="test",
        template_key="privacy-confirm",
        email=contact.email,
        values={},
        now=now,
    )
    ServiceMail.objects.update(status="sending", lease_until=now + timedelta(minutes=1))
    row = erasure.begin(contact=contact, by="staff", now=now)
    waits = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        ServiceMail.objects.update(status="sent", email="", values={}, lease_until=None)

    assert erasure.finish(erasure=row, now=now, pause=pause)
    assert len(waits) == 1


def test_many_events_go_in_batches(client, monkeypatch):
    contact = person.leave_traces(client)
    monkeypatch.setattr(erasure, "BATCH", 2)

    row = erase(contact)

    assert row.counts["events"] >= 4
    assert person.traces() == []


def test_the_command_erases_by_address(client):
    contact = person.leave_traces(client)

    call_command("privacy_erase", person.EMAIL, yes=True, verbosity=0)

    contact.refresh_from_db()
    assert contact.erased_at
    assert not Identity.objects.exists()
    assert not InboxEvent.objects.exists()
    assert person.traces() == []


def test_the_command_asks_and_takes_a_no(client, monkeypatch):
    contact = ContactFactory(email="ada@example.com")
    monkeypatch.setattr("builtins.input", lambda question: "no")

    with pytest.raises(CommandError, match="Nothing was erased"):
        call_command("privacy_erase", str(contact.uuid))

    contact.refresh_from_db()
    assert contact.erased_at is None


def test_the_command_knows_whom_it_does_not_know():
    with pytest.raises(CommandError, match="No contact"):
        call_command("privacy_erase", "nobody@example.com", yes=True)
