"""The ledger, its chain, and who is never written to."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from apps.consent import policy, services
from apps.consent.models import ConsentRecord, ConsentState, Purpose, Suppression
from apps.consent.policy import Decision
from apps.consent.services import Statement
from apps.consent.signals import consent_withdrawn
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

MARKETING = Purpose.EMAIL_MARKETING
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def contact():
    return ContactFactory(email="ada@example.com")


@pytest.fixture
def withdrawals():
    heard = []

    def hear(*, contact_ids, purpose, now, **_):
        heard.append((contact_ids, purpose, now))

    consent_withdrawn.connect(hear)
    yield heard
    consent_withdrawn.disconnect(hear)


def say(contact, status, *, method="api", purpose=MARKETING, **how):
    return Statement(contact.pk, purpose, status, method, **how)


def state_of(contact) -> str:
    return ConsentState.objects.get(contact=contact, purpose=MARKETING).status


def test_grant_is_recorded_once_however_often_it_is_said(contact):
    services.record_consents(statements=[say(contact, "granted")] * 3, now=NOON)
    services.record_consents(statements=[say(contact, "granted")], now=LATER)

    record = ConsentRecord.objects.get()
    assert (record.status, record.method, record.recorded_at) == ("granted", "api", NOON)
    assert ConsentState.objects.get().record == record


def test_statements_of_one_call_count_in_their_order(contact):
    said = [
        say(contact, status, said_at=NOON + timedelta(seconds=number))
        for number, status in enumerate(["granted", "denied", "granted", "denied"])
    ]

    services.record_consents(statements=said, now=NOON)

    statuses = ConsentRecord.objects.order_by("id").values_list("status", flat=True)
    assert list(statuses) == ["granted", "denied", "granted", "denied"]
    assert state_of(contact) == "denied"
    assert services.verify_chain(contact) == []


@pytest.mark.parametrize(
    ("hours", "state"), [(-1, "denied"), (0, "denied"), (1, "granted"), (None, "granted")]
)
def test_a_yes_said_before_the_last_no_is_ignored(contact, hours, state):
    deny(contact, MARKETING, NOON)
    said_at = None if hours is None else NOON + timedelta(hours=hours)

    services.record_consents(
        statements=[say(contact, "granted", said_at=said_at)], now=NOON + timedelta(hours=2)
    )

    assert state_of(contact) == state
    assert ConsentRecord.objects.count() == (2 if state == "granted" else 1)


def test_a_repeated_no_counts_for_what_was_said_before_it(contact):
    deny(contact, MARKETING, NOON)
    deny(contact, MARKETING, LATER)

    services.record_consents(
        statements=[say(contact, "granted", said_at=NOON + timedelta(minutes=30))], now=LATER
    )

    assert state_of(contact) == "denied"
    assert ConsentRecord.objects.count() == 1


def test_a_no_that_had_to_wait_still_counts(contact):
    grant(contact, MARKETING, NOON)

    services.record_consents(
        statements=[say(contact, "denied", said_at=NOON - timedelta(minutes=1))], now=LATER
    )

    record = ConsentRecord.objects.last()
    assert (record.status, record.recorded_at) == ("denied", LATER)
    assert record.evidence == {"said_at": "2026-03-02T11:59:00+00:00"}


def test_unknown_purposes_and_contacts_are_left_out(contact):
    said = [
        say(contact, "granted", purpose="advertising"),
        Statement(contact.pk + 999, MARKETING, "granted", "api"),
    ]

    assert services.record_consents(statements=said, now=NOON) == []
    assert not ConsentRecord.objects.exists()


def test_chain_shows_a_changed_and_a_missing_record(contact):
    for hour, status in enumerate(["granted", "denied", "granted"]):
        at = NOON + timedelta(hours=hour)
        services.record_consents(statements=[say(contact, status)], now=at)
    first, second, third = ConsentRecord.objects.order_by("id")
    assert services.verify_chain(contact) == []

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE consent_consentrecord SET status = 'granted' WHERE id = %s", [second.pk]
        )
        cursor.execute("DELETE FROM consent_consentrecord WHERE id = %s", [first.pk])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")

    assert services.verify_chain(contact) == [
        f"Before record {second.pk} something is missing.",
        f"Record {second.pk} was changed.",
    ]
    assert third.previous_hash == second.record_hash


def test_chain_shows_a_state_that_was_changed(contact):
    grant(contact, MARKETING, NOON)
    ConsentState.objects.all().delete()

    assert services.verify_chain(contact) == ["The state does not match the newest records."]


def test_database_refuses_to_change_a_record(contact):
    record = grant(contact, MARKETING, NOON)

    rows = ConsentRecord.objects.filter(pk=record.pk)
    changes = [
        lambda: rows.update(status="denied"),
        record.save,
        lambda: rows._raw_delete(rows.db),
    ]
    for change in changes:
        with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
            change()

    assert rows.get() == record


def test_withdrawal_is_announced_and_a_grant_is_not(contact, withdrawals):
    other = ContactFactory()
    grant(contact, MARKETING, NOON)
    assert withdrawals == []

    services.record_consents(statements=[say(other, "denied"), say(contact, "denied")], now=LATER)

    assert withdrawals == [(sorted([contact.pk, other.pk]), MARKETING, LATER)]


def test_unsubscribing_takes_consent_back_and_silences_the_address(contact):
    grant(contact, MARKETING, NOON)

    for _ in range(2):
        services.unsubscribe(contact=contact, method="one_click", source="mail", now=LATER)

    records = ConsentRecord.objects.order_by("id").values_list("status", "method", "source")
    assert list(records) == [("granted", "form", "tests"), ("denied", "one_click", "mail")]
    assert services.is_suppressed("Ada@example.com ")
    assert Suppression.objects.get().reason == "unsubscribed"


def test_contact_without_address_can_unsubscribe():
    services.unsubscribe(
        contact=ContactFactory(email=None), method="staff", source="admin", now=NOON
    )

    assert (ConsentRecord.objects.get().status, Suppression.objects.count()) == ("denied", 0)


def test_repeated_preference_does_not_undo_an_unsubscribe(contact):
    grant(contact, MARKETING, NOON)
    services.unsubscribe(contact=contact, method="one_click", source="mail", now=NOON)

    services.record_consents(statements=[say(contact, "granted", is_explicit=False)], now=LATER)

    assert state_of(contact) == "denied"
    assert services.is_suppressed("ada@example.com")


def test_preference_undoes_what_a_preference_said(contact):
    services.record_consents(statements=[say(contact, "denied")], now=NOON)

    services.record_consents(statements=[say(contact, "granted", is_explicit=False)], now=LATER)

    assert state_of(contact) == "granted"


@pytest.mark.parametrize(
    ("reason", "is_lifted"),
    [("unsubscribed", True), ("bounced", False), ("complained", False), ("manual", False)],
)
def test_explicit_grant_lifts_only_an_unsubscription(contact, reason, is_lifted):
    deny(contact, MARKETING, NOON)
    services.suppress(emails=["ada@example.com", "bob@example.com"], reason=reason, now=NOON)

    grant(contact, MARKETING, LATER)

    assert services.is_suppressed("ada@example.com") is not is_lifted
    assert services.is_suppressed("bob@example.com")


def test_suppression_keeps_the_stronger_reason():
    assert services.suppress(emails=["a@x.example"], reason="unsubscribed", now=NOON) == 1
    assert services.suppress(emails=["a@x.example", "b@x.example"], reason="bounced", now=NOON) == 1
    services.suppress(emails=["a@x.example"], reason="unsubscribed", now=NOON)

    assert set(Suppression.objects.values_list("reason", flat=True)) == {"bounced"}
    assert services.suppressed_among(["a@x.example", "c@x.example"]) == {"a@x.example"}


def test_suppression_does_not_hold_the_address():
    services.suppress(emails=["ada@example.com"], reason="manual", now=NOON)

    assert "ada" not in str(Suppression.objects.values().get())


def test_policy_allows_only_what_was_granted(contact):
    record = grant(contact, MARKETING, NOON)
    other = ContactFactory()
    nothing = {"purpose": MARKETING, "jurisdiction": "UNKNOWN", "rule": "opt_in"}
    values = {
        **nothing,
        "status": "granted",
        "method": "form",
        "recorded_at": NOON.isoformat(),
        "basis": "consent",
    }

    decisions = policy.decide(contacts=[contact.pk, other.pk], purpose=MARKETING, at=LATER)

    assert decisions == {
        contact.pk: Decision(True, "", record.pk, values, "consent"),
        other.pk: Decision(False, "no_consent", None, nothing),
    }
    assert policy.allows(contact, Purpose.TRACKING, LATER).reason == "no_consent"


def test_policy_answers_for_any_moment(contact):
    grant(contact, MARKETING, NOON)
    deny(contact, MARKETING, LATER)

    def reason(at):
        return policy.allows(contact, MARKETING, at).reason

    assert reason(NOON - timedelta(hours=1)) == "no_consent"
    assert reason(NOON) == ""
    assert reason(LATER) == "consent_withdrawn"


def test_policy_sees_a_withdrawal_made_after_the_worker_read_its_clock(contact):
    grant(contact, MARKETING, NOON)
    deny(contact, MARKETING, LATER)

    decision = policy.allows(contact, MARKETING, LATER - timedelta(seconds=2))

    assert decision.reason == "consent_withdrawn"


@pytest.mark.parametrize("count", [1, 20])
def test_recording_takes_the_same_queries_for_any_number(count, django_assert_num_queries):
    said = [say(ContactFactory(), "granted") for _ in range(count)]

    with django_assert_num_queries(12):
        services.record_consents(statements=said, now=NOON)
