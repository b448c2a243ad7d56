"""The proof: what a record keeps, what is forgotten of it, and what shows when it is touched."""

import hashlib
import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from apps.consent import services
from apps.consent.models import ConsentRecord, ConsentState
from apps.consent.provenance import browser_of, network_of, page_of
from apps.consent.services import Statement
from tests.factories.consent import deny, grant
from tests.factories.contacts import ContactFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

MARKETING = "email_marketing"
LATER = NOON + timedelta(hours=1)
CHROME = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)
PERSONAL = ["source", "source_url", "ip_network", "user_agent", "evidence", "salt"]


@pytest.fixture
def contact():
    return ContactFactory(email="ada@example.com", country="DE")


def told(contact, **fields):
    """A yes with all that may be known of it."""
    how = {
        "source": "Newsletter form",
        "source_url": "https://ada@shop.example/news?mail=ada@example.com#form",
        "ip": "203.0.113.77",
        "user_agent": CHROME,
        "evidence": {"note": "Ada said so"},
    }
    statement = Statement(contact.pk, MARKETING, "granted", "form", **(how | fields))
    [record] = services.record_consents(statements=[statement], now=NOON)
    return record


def tamper(sql: str, *values: object) -> None:
    """As somebody would who may do everything with the database."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


# --- what is kept ---------------------------------------------------------------------------------


def test_a_record_keeps_where_it_was_said_and_no_more_than_needed(contact):
    record = told(contact)

    record.refresh_from_db()
    assert record.source_url == "https://shop.example/news"
    assert record.ip_network == "203.0.113.0/24"
    assert record.user_agent == "Chrome Mobile on Android"
    assert (record.jurisdiction, record.seal_version) == ("EU", 2)
    assert services.verify_chain(contact) == []


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        (" 10.1.2.3 ", "10.1.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("ip_5f4dcc3b", ""),
        ("999.1.1.1", ""),
    ],
)
def test_an_address_is_cut(ip, network):
    assert network_of(ip) == network


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://shop.example/a/b?x=1#y", "https://shop.example/a/b"),
        ("http://user:pass@shop.example:8080/", "http://shop.example:8080/"),
        ("javascript:alert(1)", ""),
        ("https://[", ""),
        ("/only/a/path", ""),
        ("", ""),
    ],
)
def test_a_page_is_kept_without_what_may_name_somebody(url, page):
    assert page_of(url) == page


@pytest.mark.parametrize("agent", ["", "x" * 5000, "\x00", "curl/8.0"])
def test_any_browser_can_be_told(agent):
    assert len(browser_of(agent)) <= 80


def test_a_record_bears_the_hash_of_the_words_that_were_shown(contact):
    wording = services.keep_wording(
        purpose=MARKETING, version="2026-03", language="en", text="Yes, write to me.", now=NOON
    )

    record = told(contact, wording_version="2026-03")

    assert record.wording_hash == hashlib.sha256(b"Yes, write to me.").hexdigest()
    assert record.wording_hash == wording.text_hash


@pytest.mark.parametrize(
    ("language", "text"), [("de", "Ja."), ("en", "Yes."), ("", ""), ("fr", "")]
)
def test_of_two_languages_the_one_that_was_shown_is_kept(contact, language, text):
    for spoken, words in (("en", "Yes."), ("de", "Ja.")):
        services.keep_wording(purpose=MARKETING, version="1", language=spoken, text=words, now=NOON)

    record = told(contact, wording_version="1", language=language)

    assert record.wording_hash == (hashlib.sha256(text.encode()).hexdigest() if text else "")


# --- forgetting -----------------------------------------------------------------------------------


def test_what_is_personal_is_forgotten_and_the_chain_holds(contact):
    told(contact)
    deny(contact, MARKETING, LATER)
    before = list(ConsentRecord.objects.order_by("id").values_list("record_hash", flat=True))

    count = services.forget_evidence(contact=contact, now=LATER)

    rows = ConsentRecord.objects.order_by("id")
    assert count == 2
    for row in rows.values(*PERSONAL):
        assert not any(row.values())
    assert list(rows.values_list("record_hash", flat=True)) == before
    assert {row.forgotten_at for row in rows} == {LATER}
    assert services.verify_chain(contact) == []
    assert "Ada" not in json.dumps(list(rows.values()), default=str)


def test_forgetting_twice_changes_nothing_more(contact):
    told(contact)

    counts = [services.forget_evidence(contact=contact, now=NOON) for _ in range(2)]

    assert counts == [1, 0]


def test_only_what_is_old_is_forgotten_where_that_is_asked(contact):
    told(contact)
    deny(contact, MARKETING, LATER)

    services.forget_evidence(contact=contact, now=LATER, recorded_before=LATER)

    forgotten = ConsentRecord.objects.order_by("id").values_list("forgotten_at", flat=True)
    assert list(forgotten) == [LATER, None]
    assert services.verify_chain(contact) == []


def test_after_forgetting_the_chain_goes_on(contact):
    told(contact)
    services.forget_evidence(contact=contact, now=NOON)

    deny(contact, MARKETING, LATER)

    assert services.verify_chain(contact) == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": "denied"},
        {"source": ""},
        {"evidence": {}, "forgotten_at": LATER},
        {"forgotten_at": LATER},
        {"recorded_at": LATER},
        {"personal_hash": "0" * 64},
    ],
)
def test_database_takes_no_other_change(contact, change):
    record = told(contact)

    with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
        ConsentRecord.objects.filter(pk=record.pk).update(**change)


@pytest.mark.parametrize(
    "change", [{"status": "denied"}, {"jurisdiction": "US"}, {"source": "Ada's letter"}]
)
def test_with_the_forgetting_nothing_else_slips_in(contact, change):
    record = told(contact)
    empty = {"source": "", "source_url": "", "ip_network": "", "user_agent": "", "salt": ""}
    forgotten = {**empty, "evidence": {}, "forgotten_at": LATER}

    with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
        ConsentRecord.objects.filter(pk=record.pk).update(**(forgotten | change))


# --- records of the first seal --------------------------------------------------------------------


def first_seal(contact):
    """A record as the first version of the product wrote it."""
    content = {
        "contact_id": contact.pk,
        "purpose_id": MARKETING,
        "status": "granted",
        "method": "form",
        "source": "Old form",
        "wording_version": "",
        "jurisdiction": "",
        "evidence": {"note": "Ada"},
        "recorded_at": NOON.isoformat(timespec="microseconds"),
        "previous_hash": "",
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    fields = {name: value for name, value in content.items() if name != "recorded_at"}
    record = ConsentRecord.objects.create(
        **fields,
        recorded_at=NOON,
        seal_version=1,
        record_hash=hashlib.sha256(canonical).hexdigest(),
    )
    ConsentState.objects.create(
        contact=contact, purpose_id=MARKETING, status="granted", record=record, changed_at=NOON
    )
    return record


def test_an_old_record_is_checked_by_its_own_seal_and_the_chain_goes_on(contact):
    first_seal(contact)
    deny(contact, MARKETING, LATER)

    assert services.verify_chain(contact) == []
    assert list(ConsentRecord.objects.order_by("id").values_list("seal_version", flat=True)) == [
        1, 2,
    ]  # fmt: skip


def test_an_old_record_can_be_forgotten_too_and_what_is_left_is_sealed(contact):
    record = first_seal(contact)
    deny(contact, MARKETING, LATER)
    services.forget_evidence(contact=contact, now=LATER)
    assert services.verify_chain(contact) == []

    tamper("UPDATE consent_consentrecord SET method = 'staff' WHERE id = %s", record.pk)

    assert services.verify_chain(contact) == [f"Record {record.pk} was changed."]


# --- verifying all --------------------------------------------------------------------------------


def verify(**options):
    out, err = StringIO(), StringIO()
    call_command("verify_consent_ledger", stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_the_command_finds_all_whole():
    for _ in range(3):
        grant(ContactFactory(), MARKETING, NOON)

    assert verify() == ("3 records of 3 contacts are whole.\n", "")
    assert verify(quiet=True) == ("", "")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE consent_consentrecord SET status = 'denied' WHERE id = %s",
        "UPDATE consent_consentrecord SET evidence = '{\"a\": 1}' WHERE id = %s",
        "UPDATE consent_consentrecord SET topic_id = NULL, jurisdiction = 'US' WHERE id = %s",
        "UPDATE consent_consentrecord SET wording_hash = 'x' WHERE id = %s",
        "UPDATE consent_consentstate SET status = 'denied' WHERE record_id = %s",
        "DELETE FROM consent_consentstate WHERE record_id = %s",
    ],
)
def test_the_command_names_whose_proof_was_touched_and_nobody_else(contact, sql):
    record = told(contact)
    other = ContactFactory(email="bob@example.com")
    grant(other, MARKETING, NOON)
    tamper(sql, record.pk)
    err = StringIO()

    with pytest.raises(CommandError, match="The proof of 1 contacts is not whole"):
        call_command("verify_consent_ledger", stdout=StringIO(), stderr=err)

    assert str(contact.uuid) in err.getvalue()
    assert str(other.uuid) not in err.getvalue()
    assert "ada" not in err.getvalue()


def test_the_command_reads_in_flat_memory(django_assert_max_num_queries):
    for _ in range(5):
        grant(ContactFactory(), MARKETING, NOON)

    with django_assert_max_num_queries(4):
        verify()
