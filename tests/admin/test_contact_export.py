"""Contacts as files: who is listed, in chosen columns, guarded, and only for who may."""

import csv
from io import BytesIO, StringIO

import openpyxl
import pytest
from django.urls import reverse

from apps.accounts.models import AccessRecord
from apps.contacts import export
from apps.contacts.models import Contact
from apps.core.pages import model_url
from apps.core.roles import Role
from tests.accounts.crawling import in_role
from tests.admin.conftest import at_browser
from tests.factories.accounts import StaffFactory
from tests.factories.consent import TopicFactory, say
from tests.factories.contacts import ContactFactory, ContactFieldFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def download(client, columns, file_format="csv", query=""):
    url = f"{reverse('admin:contacts_contact_export')}{query}"
    answer = client.post(url, {"columns": columns, "format": file_format})
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def rows_of(data):
    return list(csv.reader(StringIO(data.decode("utf-8-sig"), newline="")))


def sheet_of(data):
    book = openpyxl.load_workbook(BytesIO(data))
    return [list(row) for row in book.active.iter_rows(values_only=True)]


def test_everybody_in_the_columns_that_were_chosen(staff):
    ContactFieldFactory(key="age", kind="number")
    ContactFieldFactory(key="teas", kind="list")
    TopicFactory(key="news")
    ada = ContactFactory(
        email="ada@example.com", external_id="u-1", attributes={"age": -3, "teas": ["a", "b"]}
    )
    ContactFactory(email="grace@example.com")
    say(ada, "email_marketing", "granted", NOON)
    say(ada, "email_marketing", "denied", NOON, topic="news")

    columns = ["user_id", "email", "age", "teas", "consent:email_marketing", "consent:news"]
    data = download(staff, columns)

    assert rows_of(data) == [
        columns,
        ["u-1", "ada@example.com", "-3", "a; b", "yes", "no"],
        ["", "grace@example.com", "", "", "", ""],
    ]


def test_how_a_consent_is_known_can_be_exported(staff):
    ada = ContactFactory()
    say(ada, "email_marketing", "granted", NOON)
    key = "consent:email_marketing"

    data = download(staff, [f"{key}:date", f"{key}:source", f"{key}:wording"])

    assert rows_of(data)[1] == ["2026-03-02T12:00:00+00:00", "tests", ""]


def test_a_workbook_holds_the_same_and_numbers_are_numbers(staff):
    ContactFieldFactory(key="age", kind="number")
    ContactFactory(
        email="ada@example.com", first_name="=1+1", last_name="<&\x08>", attributes={"age": 36.5}
    )

    data = download(staff, ["email", "first_name", "last_name", "phone", "age"], "xlsx")

    assert sheet_of(data) == [
        ["email", "first_name", "last_name", "phone", "age"],
        ["ada@example.com", "=1+1", "<&>", None, 36.5],
    ]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "'="])
def test_nothing_in_a_csv_file_is_a_formula(staff, begin):
    ContactFactory(first_name=f"{begin}cmd|' /C calc'!A0", last_name="'quoted")

    data = download(staff, ["first_name", "last_name"])

    assert rows_of(data)[1] == [f"'{begin}cmd|' /C calc'!A0", "'quoted"]


def test_only_those_who_are_listed(staff):
    ContactFactory(email="ada@example.com", is_test=True)
    ContactFactory(email="grace@example.com")

    tests = download(staff, ["email"], query="?is_test__exact=1")
    found = download(staff, ["email"], query="?q=grace@")

    assert rows_of(tests)[1:] == [["ada@example.com"]]
    assert rows_of(found)[1:] == [["grace@example.com"]]


def test_nobody_who_was_erased_or_merged(staff):
    ada = ContactFactory(email="ada@example.com")
    for change in ({"erased_at": NOON}, {"merged_into": ada}):
        Contact.objects.filter(pk=ContactFactory().pk).update(email=None, **change)

    assert rows_of(download(staff, ["email"])) == [["email"], ["ada@example.com"]]


def test_a_long_list_is_read_in_pieces(staff, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(export, "CHUNK", 2)
    ContactFactory.create_batch(5)

    rows = rows_of(
        b"".join(export.write(people=Contact.objects.all(), keys=["email"], file_format="csv"))
    )

    assert len(rows) == 6


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"format": "csv"}, "Choose at least one column."),
        ({"format": "csv", "columns": ["password"]}, "Choose at least one column."),
        ({"format": "exe", "columns": ["email"]}, "Choose CSV or XLSX."),
    ],
)
def test_what_can_not_be_exported_is_told(staff, asked, problem):
    answer = staff.post(reverse("admin:contacts_contact_export"), asked)

    assert problem in answer.content.decode()


def test_a_query_that_no_list_has_leads_back(staff):
    answer = staff.get(f"{reverse('admin:contacts_contact_export')}?what=1")

    assert answer.url == model_url(Contact)


def test_the_access_log_tells_who_was_exported(staff, boss):
    ada = ContactFactory()

    download(staff, ["email", "phone"])

    record = AccessRecord.objects.get(kind="export")
    assert (record.user, record.what) == (boss, "contacts: email, phone")
    assert (record.contact_ids, record.people_count) == ([ada.pk], 1)


@pytest.mark.parametrize("role", [Role.MARKETER, Role.ANALYST])
def test_who_may_not_export_is_refused(role):
    ContactFactory()
    _, client = in_role(role)
    url = reverse("admin:contacts_contact_export")

    answers = [client.get(url), client.post(url, {"columns": "email", "format": "csv"})]

    assert {answer.status_code for answer in answers} == {403}
    assert url not in client.get(model_url(Contact)).content.decode()


def test_the_right_to_export_is_not_enough_without_the_right_to_see(db):
    client = at_browser(
        StaffFactory(permissions=["contacts.export_contact", "contacts.view_contact"])
    )

    answer = client.post(
        reverse("admin:contacts_contact_export"), {"columns": "email", "format": "csv"}
    )

    assert answer.status_code == 403


def test_a_privacy_officer_exports():
    ContactFactory(email="ada@example.com")
    _, client = in_role(Role.PRIVACY_OFFICER)

    page = client.get(model_url(Contact)).content.decode()

    assert reverse("admin:contacts_contact_export") in page
    assert rows_of(download(client, ["email"]))[1:] == [["ada@example.com"]]
