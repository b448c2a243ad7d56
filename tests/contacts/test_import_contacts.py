"""`manage.py import_contacts`, as somebody types it."""

import csv
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import AccessRecord
from apps.contacts.models import Contact, ImportJob
from tests.contacts.sheets import xlsx
from tests.factories.contacts import ContactFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path / "home"
    return settings.CUEPOST_HOME


@pytest.fixture
def write(tmp_path):
    def write(content, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def run(*arguments):
    out = StringIO()
    call_command("import_contacts", *arguments, stdout=out)
    return out.getvalue().splitlines()


TEXT = "Mail,Vorname,Shoe\nada@example.com,Ada,41\nknown@example.com,Known,\nbad,x,1\n"


def test_a_file_is_taken_in_and_the_report_is_printed(write, tmp_path, home):
    ContactFactory(email="known@example.com")
    refused = tmp_path / "refused.csv"

    lines = run(
        write(TEXT), "--map", "first_name=Vorname", "--map", "attribute:shoe=Shoe",
        "--refused", str(refused),
    )  # fmt: skip

    assert lines == [
        "  Mail: email",
        "  Vorname: first_name",
        "  Shoe: attribute:shoe",
        "3 rows: 1 added, 1 changed, 0 as they are, 1 refused.",
        "  row 4: E-mail address: not an e-mail address.",
    ]
    ada = Contact.objects.get(email="ada@example.com")
    assert (ada.first_name, ada.attributes) == ("Ada", {"shoe": "41"})
    with refused.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ["4", "E-mail address: not an e-mail address.", "bad", "x", "1"]
        ]
    assert ImportJob.objects.get().status == "done"
    assert AccessRecord.objects.get().what == "import of contacts"


def test_a_dry_run_only_looks(write, home):
    lines = run(write(TEXT), "--dry-run", "--leave-out", "Vorname")

    assert lines[1] == "  Vorname: left out"
    assert lines[3] == ("3 rows: 2 would be added, 0 would be changed, 0 as they are, 1 refused.")
    assert not Contact.objects.exists()
    assert ImportJob.objects.get().status == "canceled"
    assert list((home / "imports").iterdir()) == []


def test_a_workbook_and_other_encodings_are_taken_in(write):
    run(write(xlsx(["email", "first_name"], ["a@example.com", "Zoë"]), "people.xlsx"))
    text = "email\tfirst_name\nb@example.com\tЗоя\n".encode("cp1251")
    run(write(text), "--encoding", "cp1251", "--delimiter", "tab")

    assert list(Contact.objects.order_by("email").values_list("first_name", flat=True)) == [
        "Zoë", "Зоя",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--map", "email=Post"], "There is no one column “Post”; the file has Mail, Vorname"),
        (["--leave-out", "Mail"], "Say which column has the e-mail address, or the user ID."),
        (["--map", "Mail"], "--map Mail: write it as NAME=VALUE, once."),
        (["--set", "email=a@example.com"], "“E-mail address” is matched twice."),
        (["--delimiter", "#"], "Say how the file is written and what divides its columns."),
    ],
)
def test_what_makes_no_sense_is_told_and_nothing_happens(write, home, arguments, problem):
    with pytest.raises(CommandError) as raised:
        run(write(TEXT), *arguments)

    assert str(raised.value).startswith(problem)
    assert not Contact.objects.exists()
    assert list((home / "imports").iterdir()) == []


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(CommandError, match="No such file or directory"):
        run("/nowhere/people.csv")
