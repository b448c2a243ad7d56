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
from django.db import connection
from django.utils import timezone

from apps.accounts.models import AccessRecord
from apps.consent import export
from apps.contacts.models import Contact
from apps.events.models import Event
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory
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
