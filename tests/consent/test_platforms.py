"""What consent platforms deliver: signed, each consent once, unusable ones told."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from apps.consent import platforms
from apps.consent.models import (
    AnonymousConsent,
    CmpConnection,
    CmpReceipt,
    ConsentRecord,
    ConsentState,
)
from apps.contacts.models import Contact
from tests.consent.test_tcf import CORE
from tests.factories.consent import deny
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

ADA = {"id": "c-1", "email": "ada@example.com", "preferences": {"email_marketing": True}}


@pytest.fixture
def connection() -> CmpConnection:
    return CmpConnection.objects.create(name="Consent Platform")


def sign(connection: CmpConnection, body: str) -> str:
    return hmac.new(connection.secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def deliver(client: Any, connection: CmpConnection, told: Any, signature: str | None = None) -> Any:
    body = told if isinstance(told, str) else json.dumps(told)
    return client.post(
        f"/webhooks/cmp/{connection.key}/",
        body,
        content_type="application/json",
        headers={"X-Cuepost-Signature": sign(connection, body) if signature is None else signature},
    )


def states_of(contact: Contact) -> dict[str, str]:
    return dict(ConsentState.objects.filter(contact=contact).values_list("purpose", "status"))


def test_a_consent_is_recorded_once_with_its_proof(client, connection):
    item = {
        **ADA,
        "givenAt": "2026-03-01T10:00:00Z",
        "url": "https://shop.example/a?b=c",
        "wordingVersion": "7",
    }

    answers = [deliver(client, connection, [item]).json() for _ in range(2)]

    contact = Contact.objects.get()
    record = ConsentRecord.objects.get()
    assert answers == [
        {"success": True, "recorded": 1, "repeated": 0, "refused": []},
        {"success": True, "recorded": 0, "repeated": 1, "refused": []},
    ]
    assert (contact.email, states_of(contact)) == (
        "ada@example.com",
        {"email_marketing": "granted"},
    )
    assert (record.method, record.source) == ("cmp", "Consent Platform")
    assert (record.source_url, record.wording_version) == ("https://shop.example/a", "7")
    assert record.evidence == {"id": "c-1", "said_at": "2026-03-01T10:00:00+00:00"}
    assert "c-1" not in CmpReceipt.objects.get().external_id


@pytest.mark.parametrize("signature", ["", "00", "é", "sha256=" + "0" * 64])
def test_what_is_not_signed_is_refused(client, connection, signature):
    answer = deliver(client, connection, [ADA], signature)

    assert answer.status_code == 401
    assert not Contact.objects.exists()


def test_a_prefix_is_allowed_and_a_changed_body_is_not(client, connection):
    body = json.dumps([ADA])
    good = deliver(client, connection, body, f"sha256={sign(connection, body).upper()}")
    bad = deliver(client, connection, f"{body} ", sign(connection, body))

    assert (good.status_code, bad.status_code) == (200, 401)


def test_unknown_switched_off_and_outdated_are_refused(client, connection):
    old = CmpConnection(key=connection.key, secret_version=1)
    platforms.rotate_secret(connection=connection)
    body = json.dumps([ADA])
    outdated = deliver(client, connection, body, sign(old, body))
    CmpConnection.objects.update(is_active=False)
    answers = [outdated, deliver(client, connection, [ADA]), deliver(client, old, [ADA])]
    unknown = deliver(client, CmpConnection(), [ADA])

    assert {answer.status_code for answer in [*answers, unknown]} == {401}
    assert not Contact.objects.exists()


@pytest.mark.parametrize("told", ["", "{", "7", '"x"', "\\ud800", "[" * 5000])
def test_a_body_that_can_not_be_read_is_refused(client, connection, told):
    assert deliver(client, connection, told).status_code == 400


def test_one_that_is_broken_spoils_no_other(client, connection):
    items = [
        7,
        {"id": "a", "email": "ada", "preferences": {"tracking": True}},
        {"id": "b", "preferences": {"tracking": True}},
        {"id": "c", "email": "ada@example.com", "preferences": {"tracking": "yes"}},
        {"id": "d", "email": "nobody@example.com", "preferences": {"tracking": False}},
        ADA,
    ]

    answer = deliver(client, connection, {"consents": items}).json()

    assert (answer["recorded"], [one["index"] for one in answer["refused"]]) == (1, [0, 1, 2, 3, 4])
    assert [contact.email for contact in Contact.objects.all()] == ["ada@example.com"]


def test_a_repeat_within_one_delivery_counts_once(client, connection):
    unnamed = {key: value for key, value in ADA.items() if key != "id"}

    answer = deliver(client, connection, [ADA, ADA, unnamed, unnamed]).json()

    assert (answer["recorded"], answer["repeated"]) == (2, 2)
    assert ConsentRecord.objects.count() == 1


def test_a_yes_that_is_older_than_a_no_comes_too_late(client, connection):
    contact = ContactFactory(email="ada@example.com")
    deny(contact, "email_marketing", NOON)
    old = {**ADA, "givenAt": (NOON - timedelta(days=1)).isoformat()}
    new = {**ADA, "id": "c-2", "givenAt": (NOON + timedelta(minutes=1)).isoformat()}

    deliver(client, connection, [old])
    before = states_of(contact)
    deliver(client, connection, [new])

    assert (before, states_of(contact)) == (
        {"email_marketing": "denied"}, {"email_marketing": "granted"},
    )  # fmt: skip


def test_signals_are_understood_and_plain_words_count_more(client, connection):
    contact = ContactFactory(external_id="u-1")
    item = {
        "id": "c-9",
        "userId": "u-1",
        "tcString": CORE,
        "googleConsentMode": {"ad_storage": "denied"},
        "preferences": {"personalisation": True},
    }

    deliver(client, connection, item)

    assert states_of(contact) == {
        "tracking": "denied", "personalisation": "granted", "sale_or_sharing": "denied",
    }  # fmt: skip


def test_a_browser_that_is_nobodys_is_kept_like_an_answer_to_the_banner(client, connection):
    item = {"id": "c-3", "anonymousId": "browser-1", "preferences": {"tracking": True}}

    answer = deliver(client, connection, [item]).json()

    assert answer["recorded"] == 1
    assert AnonymousConsent.objects.get().choice == {"tracking": True}
    assert not Contact.objects.exists()


def test_receipts_are_forgotten_after_a_while(connection):
    platforms.take(connection=connection, items=[ADA], now=NOON)

    platforms.forget_receipts(now=NOON + platforms.KEPT)

    assert not CmpReceipt.objects.exists()
