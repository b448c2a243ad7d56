"""Everything about a person in one file, whoever reads it."""

import csv
import io
import json
import stat
import tracemalloc
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import AccessRecord
from apps.consent import export, rights
from apps.consent.models import MailPreference
from apps.contacts.models import Contact
from apps.events.models import Event
from apps.workflows.models import EntryRefusal
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory
from tests.factories.segments import SegmentFactory
from tests.factories.workflows import WorkflowVersionFactory
from tests.instants import NOON
from tests.privacy import person

pytestmark = pytest.mark.django_db(transaction=True)


def take(contact: Contact, path: Path) -> dict[str, Any]:
    export.write(contact=contact, path=path, by="ada", now=timezone.now())
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_it_holds_every_kind_of_data_for_machines_and_people(client, tmp_path):
    contact = person.leave_traces(client)

    files = take(contact, tmp_path / "ada.zip")

    kinds = {name for name in files if name.endswith(".json")}
    for name in kinds - {"consents_verification.json"}:
        rows = json.loads(files[name])
        assert len(list(csv.DictReader(io.StringIO(files[name.replace("json", "csv")])))) == len(
            rows
        )
    assert json.loads(files["contact.json"])[0]["email"] == person.EMAIL
    assert "Order Completed" in files["events.json"]
    assert json.loads(files["orders.json"])[0]["total"] == "22.00"
    assert json.loads(files["mails.json"])[0]["status"] == "sent"
    assert json.loads(files["consents_verification.json"])["is_whole"]
    assert json.loads(files["sources.json"])[0]["source"] == "Shop"
    assert json.loads(files["recipients.json"])
    assert json.loads(files["decisions.json"])
    assert person.EMAIL in files["summary.html"]
    assert "Lovelace" in files["summary.html"]


def test_only_its_owner_can_read_the_file(client, tmp_path):
    contact = ContactFactory(email="ada@example.com")

    take(contact, tmp_path / "exports" / "ada.zip")

    assert stat.S_IMODE((tmp_path / "exports" / "ada.zip").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "exports").stat().st_mode) == 0o700


def test_nobody_else_is_in_it(client, tmp_path):
    contact = person.leave_traces(client)
    ContactFactory(email="bob@example.com", first_name="Bobby")

    files = take(contact, tmp_path / "ada.zip")

    assert not [name for name, text in files.items() if "Bobby" in text or "bob@" in text]


def test_a_spreadsheet_runs_nothing_of_it(tmp_path):
    contact = ContactFactory(first_name="=HYPERLINK(1)")

    files = take(contact, tmp_path / "ada.zip")

    assert "'=HYPERLINK(1)" in files["contact.csv"]


def test_markup_in_a_name_stays_text(tmp_path):
    contact = ContactFactory(first_name="<script>alert(1)</script>")

    files = take(contact, tmp_path / "ada.zip")

    assert "<script>" not in files["summary.html"]


def test_it_tells_groups_wishes_restriction_and_where_nobody_was_let_in(tmp_path):
    contact, now = ContactFactory(country="DE"), timezone.now()
    german = {"attribute": "country", "is": "DE"}
    SegmentFactory(name="Germans", condition=german)
    SegmentFactory(name="The French", condition={"attribute": "country", "is": "FR"})
    SegmentFactory(name="Out of use", condition={"in_segment": "gone"})
    MailPreference.objects.create(contact=contact, frequency="weekly", changed_at=now)
    rights.ask(contact=contact, kind="restrict", by="staff", now=now)
    workflow = WorkflowVersionFactory().workflow
    EntryRefusal.objects.create(
        workflow=workflow, contact=contact, event_id=1, reason="paused", refused_at=now
    )

    files = take(contact, tmp_path / "ada.zip")

    told = {name: json.loads(files[f"{name}.json"]) for name in ("segments", "wishes", "requests")}
    # Whose data is restricted is in no group.
    assert told["segments"] == []
    assert told["wishes"][0]["mails"] == "weekly"
    assert [row["status"] for row in told["requests"]] == ["done", "in force"]
    assert json.loads(files["not_entered.json"])[0]["reason"] == "paused"
    rights.lift_restriction(request=contact.privacy_requests.get(), by="staff", now=now)
    files = take(contact, tmp_path / "ada.zip")
    assert [row["segment"] for row in json.loads(files["segments.json"])] == ["Germans"]


def test_it_is_noted_who_took_it(tmp_path):
    contact = ContactFactory()

    take(contact, tmp_path / "ada.zip")

    assert AccessRecord.objects.about(contact.pk).get().kind == "export"


def test_ten_times_the_events_take_the_same_memory(tmp_path):
    few, many = ContactFactory(), ContactFactory()
    source = EventFactory(contact=few).source
    for contact, count in ((few, 1_000), (many, 10_000)):
        Event.objects.bulk_create(
            Event(
                contact=contact,
                type="track",
                name="Product Viewed",
                properties={"product_id": "cup", "note": "x" * 100},
                source=source,
                message_id=f"{contact.pk}-{number}",
                is_trusted=True,
                received_at=NOON,
                occurred_at=NOON - timedelta(seconds=number),
            )
            for number in range(count)
        )

    peaks = [peak(contact, tmp_path / "one.zip") for contact in (few, many)]

    assert peaks[1] < 1.25 * peaks[0]


def peak(contact: Contact, path: Path) -> int:
    tracemalloc.start()
    export.write(contact=contact, path=path, by="ada", now=NOON)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_the_command_writes_it(tmp_path, capsys):
    ContactFactory(email="ada@example.com")

    call_command("privacy_export", "ada@example.com", out=tmp_path / "ada.zip")

    assert zipfile.is_zipfile(tmp_path / "ada.zip")
    assert "contact: 1" in capsys.readouterr().out


def test_the_command_says_that_it_is_being_written(tmp_path):
    contact = ContactFactory(email="ada@example.com")
    other = connection.copy()
    with other.cursor() as cursor:
        name = f"consent.export:{contact.pk}"
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])

        with pytest.raises(CommandError, match="right now"):
            call_command("privacy_export", "ada@example.com", out=tmp_path / "ada.zip")
    other.close()


def test_within_a_transaction_it_is_written_as_well(tmp_path):
    contact = ContactFactory(email="ada@example.com")

    with transaction.atomic():
        files = take(contact, tmp_path / "ada.zip")

    assert "ada@example.com" in files["contact.json"]


def test_the_command_says_where_it_can_not_write(tmp_path):
    ContactFactory(email="ada@example.com")
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match="can't be written"):
        call_command("privacy_export", "ada@example.com", out=tmp_path / "file" / "ada.zip")


def test_a_copy_that_fails_leaves_no_file(tmp_path):
    contact = ContactFactory()
    Contact.objects.filter(pk=contact.pk).delete()

    with pytest.raises(Contact.DoesNotExist):
        take(contact, tmp_path / "ada.zip")

    assert list(tmp_path.iterdir()) == []


def test_two_never_write_the_same_copy(tmp_path):
    contact = ContactFactory()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [
            f"consent.export:{contact.pk}"
        ])  # fmt: skip

        with pytest.raises(export.Busy):
            take(contact, tmp_path / "ada.zip")
    other.close()

    assert list(tmp_path.iterdir()) == []
