"""Consents in files of contacts: what becomes a record, and what a file can't undo."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.consent import services
from apps.consent.models import ConsentRecord, ConsentState, Purpose, Suppression
from apps.contacts.models import Contact, ImportJob, ImportRow
from tests.contacts.sheets import check, counts, refused, take_in, upload
from tests.factories.consent import TopicFactory, deny, grant
from tests.factories.contacts import ContactFactory
from tests.instants import NOON
from tests.privacy.test_erasure import erase

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]

MAIL = "consent:email_marketing"
LATER = NOON + timedelta(days=1)


@pytest.fixture
def home(settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path
    return tmp_path


def states():
    rows = ConsentState.objects.order_by("contact__email", "purpose", "topic")
    return list(rows.values_list("contact__email", "purpose", "topic", "status"))


def unsubscribe(email):
    contact = ContactFactory(email=email)
    grant(contact, "email_marketing", NOON)
    services.unsubscribe(contact=contact, method="one_click", source="mail", now=NOON)
    return contact


def test_an_answer_becomes_a_record_with_how_it_is_known():
    TopicFactory(key="news")

    job = take_in(
        f"email,{MAIL},{MAIL}:date,{MAIL}:source,{MAIL}:wording,consent:news\n"
        "ada@example.com,Yes,2025-05-04,fair in Ghent,2025-1,no\n"
        "grace@example.com,,,,,\n"
    )

    record = ConsentRecord.objects.get(topic=None)
    assert counts(job) == (2, 0, 0, 0)
    assert job.notes == {"consents recorded": 2}
    assert (record.status, record.method, record.source, record.wording_version) == (
        "granted", "import", "fair in Ghent", "2025-1",
    )  # fmt: skip
    assert record.evidence == {"said_at": "2025-05-04T00:00:00+00:00"}
    assert states() == [
        ("ada@example.com", "email_marketing", "news", "denied"),
        ("ada@example.com", "email_marketing", None, "granted"),
    ]


def test_details_may_be_the_same_for_all_rows():
    take_in(
        f"email,{MAIL}\na@example.com,1\n",
        constants={"consent_source": "old shop", "consent_date": "2025-05-04"},
    )

    record = ConsentRecord.objects.get()
    assert (record.source, record.evidence["said_at"][:10]) == ("old shop", "2025-05-04")


def test_without_a_source_the_file_is_named():
    take_in(f"email,{MAIL}\na@example.com,yes\n")

    assert ConsentRecord.objects.get().source == "import of people.csv"


def test_a_yes_does_not_undo_an_unsubscription_whatever_its_date():
    for name in ("dated", "undated"):
        unsubscribe(f"{name}@example.com")

    job = take_in(
        f"email,{MAIL},consent_date\ndated@example.com,yes,2026-03-03\nundated@example.com,yes,\n",
        now=LATER,
    )

    assert {status for *_, status in states()} == {"denied"}
    assert job.notes["yes left out: they had said no"] == 2
    assert Suppression.objects.count() == 2


def test_a_dated_yes_counts_after_a_no_that_another_system_told_and_an_undated_never():
    for name in ("before", "after", "undated"):
        deny(ContactFactory(email=f"{name}@example.com"), "email_marketing", NOON)

    job = take_in(
        f"email,{MAIL},consent_date\n"
        "before@example.com,yes,2026-03-01\n"
        "after@example.com,yes,2026-03-02T13:00\n"
        "undated@example.com,yes,\n",
        now=LATER,
    )

    assert [(email, status) for email, *_, status in states()] == [
        ("after@example.com", "granted"),
        ("before@example.com", "denied"),
        ("undated@example.com", "denied"),
    ]
    assert job.notes == {"consents recorded": 1, "yes left out: they had said no": 2}


def test_a_no_always_counts():
    grant(ContactFactory(email="a@example.com"), "email_marketing", NOON)

    take_in(f"email,{MAIL}\na@example.com,no\n", now=LATER)

    assert states() == [("a@example.com", "email_marketing", None, "denied")]


def test_a_yes_that_would_have_ended_by_now_is_left_out():
    Purpose.objects.filter(key="email_marketing").update(validity_months=12)

    job = take_in(
        f"email,{MAIL},consent_date\nold@example.com,yes,2025-02-01\nnew@example.com,yes,2026-02-01\n"
    )

    assert states() == [("new@example.com", "email_marketing", None, "granted")]
    assert job.notes == {"consents recorded": 1, "yes left out: too old to count": 1}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("perhaps,", "Consent to email_marketing: neither yes nor no."),
        ("yes,soon", "Consent to email_marketing: not a date such as 2026-01-31."),
        ("yes,2027-01-01", "Consent to email_marketing: a date in the future."),
    ],
)
def test_an_answer_that_can_not_be_read_refuses_the_row(cells, reason):
    job = take_in(f"email,{MAIL},consent_date\na@example.com,{cells}\n")

    assert refused(job) == [(2, reason)]
    assert not Contact.objects.exists()


def test_a_detail_that_is_too_long_refuses_the_row():
    job = take_in(f"email,{MAIL},{MAIL}:wording\na@example.com,yes,{'x' * 41}\n")

    assert refused(job) == [
        (2, "Consent to email_marketing: a detail is longer than 40 characters.")
    ]


def test_looking_records_nothing():
    check(f"email,{MAIL}\na@example.com,yes\n")

    assert not ConsentRecord.objects.exists()


def test_a_repeated_yes_keeps_the_first_proof():
    first = grant(
        ContactFactory(email="a@example.com"), "email_marketing", datetime(2026, 1, 1, tzinfo=UTC)
    )

    take_in(f"email,{MAIL}\na@example.com,yes\n")

    assert ConsentState.objects.get().record == first


def test_a_suppressed_address_stays_silent():
    services.suppress(emails=["a@example.com"], reason=Suppression.Reason.ERASED, now=NOON)

    take_in(f"email,{MAIL},consent_date\na@example.com,yes,2026-03-01\n")

    assert services.is_suppressed("a@example.com")


@pytest.mark.django_db(transaction=True)
def test_an_erasure_takes_the_refused_rows_and_the_files_that_wait(home):
    contact = ContactFactory(email="ada@example.com", external_id="u-1")
    take_in("email,country\nada@example.com,Nowhere\ngrace@example.com,Nowhere\n")
    waiting = upload("email\nada@example.com\n")

    erase(contact)

    waiting.refresh_from_db()
    assert [row.cells[0] for row in ImportRow.objects.all()] == ["grace@example.com"]
    assert waiting.status == ImportJob.Status.CANCELED
    assert list((home / "imports").iterdir()) == []
