"""A file of contacts at the admin: uploaded, matched, checked, taken in, and the report."""

import csv
from io import StringIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.accounts.models import AccessRecord
from apps.contacts import uploads
from apps.contacts.models import Contact, ImportJob
from apps.core.pages import model_url, object_url
from apps.core.roles import Role
from tests.accounts.crawling import in_role
from tests.contacts.sheets import check, counts, take_in, upload, work
from tests.factories.accounts import find_permissions
from tests.factories.contacts import ContactFactory, ContactFieldFactory, ImportRowFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def home(settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path
    return tmp_path


def post_file(client, content, name="people.csv"):
    data = content.encode() if isinstance(content, str) else content
    return client.post(model_url(ImportJob, "add"), {"file": SimpleUploadedFile(name, data)})


def page_of(client, job):
    return client.get(object_url(job)).content.decode()


def url(job, name):
    return reverse(f"admin:contacts_importjob_{name}", args=[job.pk])


def test_a_file_goes_its_whole_way(staff):
    ContactFieldFactory(key="age", label="Age", kind="number")
    ContactFactory(email="known@example.com")

    answer = post_file(staff, "Mail;Alter\nnew@example.com;36\nknown@example.com;9\nbad;1\n")
    job = ImportJob.objects.get()
    matching = page_of(staff, job)
    staff.post(url(job, "check"), {"column_0": "email", "column_1": "age"})
    checking = page_of(staff, work(job))

    assert answer.url == object_url(job)
    assert '<option value="email" selected>' in matching
    assert "known@example.com" in matching
    assert "This would happen" in checking
    assert "E-mail address: not an e-mail address." in checking


def test_what_was_checked_is_taken_in_after_a_question(staff):
    job = check("email,first_name\na@example.com,Ada\nbad,x\n")
    take_in_url = _action(staff, job, "Take the file in")

    question = staff.get(take_in_url).content.decode()
    staff.post(take_in_url)
    running = page_of(staff, job)
    job = work(job)
    done = page_of(staff, job)

    assert "Contacts that are added: 1. Changed: 0. Rows that are left out: 1." in question
    assert "data-live" in running
    assert (job.status, counts(job)) == ("done", (1, 0, 0, 1))
    assert "data-live" not in done
    assert "Download the refused rows" in done
    assert AccessRecord.objects.filter(what="import of contacts", people_count=2).exists()


def _action(client, job, label):
    """Where the button with these words leads."""
    page = page_of(client, job)
    before = page[: page.index(label)]
    return before.rpartition('href="')[2].split('"')[0]


def test_the_refused_rows_are_downloaded_with_number_and_reason(staff):
    job = take_in('email,first_name\n"x, y",Ada\n')

    answer = staff.get(url(job, "refused"))

    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert list(csv.reader(StringIO(text))) == [
        ["row", "reason", "email", "first_name"],
        ["2", "E-mail address: not an e-mail address.", "x, y", "Ada"],
    ]
    assert AccessRecord.objects.filter(kind="export", what="refused rows of an import").exists()


def test_after_a_week_there_is_nothing_to_download(staff):
    job = take_in("email\nbad\n")
    uploads.forget_old(now=job.uploaded_at + uploads.KEPT_FOR)

    assert staff.get(url(job, "refused")).status_code == 404
    assert "Neither the file nor its rows are kept any more." in page_of(staff, job)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "The submitted file is empty."),
        (" \n", "The file is empty."),
        ("email\n", "The file has no rows below the names of its columns."),
        ("ada@example.com,Ada\n", "The first row has to name the columns; it holds an address."),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "This is neither a CSV nor an XLSX file."),
        (b"PK\x03\x04nonsense", "The XLSX file is damaged."),
    ],
)
def test_a_file_that_can_not_be_used_is_refused_with_a_sentence(staff, home, content, problem):
    answer = post_file(staff, content)

    assert problem in answer.content.decode()
    assert not ImportJob.objects.exists()
    assert list(home.glob("imports/*")) == []


def test_columns_that_make_no_sense_are_told(staff):
    job = upload("a,b\nx@example.com,y\n")

    answer = staff.post(url(job, "check"), {"column_0": "", "column_1": "phone"}, follow=True)

    assert "Say which column has the e-mail address, or the user ID." in answer.content.decode()


def test_a_file_is_read_again_in_another_way(staff):
    job = upload("email;name\na@example.com;Zoë\n".encode("cp1252"))
    ways = {"encoding": "cp1251", "delimiter": ";"}

    staff.post(url(job, "reshape"), ways)
    page = page_of(staff, job)
    refused = staff.post(url(job, "reshape"), {"encoding": "utf-7", "delimiter": ";"}, follow=True)

    job.refresh_from_db()
    assert job.encoding == "cp1251"
    assert "Zoл" in page
    assert "Say how the file is written" in refused.content.decode()


def test_an_import_is_canceled(staff, home, django_capture_on_commit_callbacks):
    job = upload("email\na@example.com\n")

    with django_capture_on_commit_callbacks(execute=True):
        staff.post(_action(staff, job, "Cancel the import"))

    job.refresh_from_db()
    assert job.status == "canceled"
    assert list(home.glob("imports/*")) == []


def test_a_page_opens_though_its_file_is_gone(staff):
    job = upload("email\na@example.com\n")
    uploads.file_path(job).unlink()

    assert "The file is not there any more; upload it again." in page_of(staff, job)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.PRIVACY_OFFICER])
def test_who_may_not_import_is_refused(role):
    job = check("email\na@example.com\n")
    _, client = in_role(role)

    answers = [
        client.get(model_url(ImportJob, "add")),
        post_file(client, "email\nb@example.com\n"),
        client.post(url(job, "check"), {"column_0": "email"}),
        client.post(url(job, "reshape"), {}),
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert ImportJob.objects.count() == 1


def test_a_marketer_imports():
    _, client = in_role(Role.MARKETER)

    answer = post_file(client, "email\na@example.com\n")

    assert client.get(answer.url).status_code == 200
    assert not Contact.objects.exists()


def test_who_sees_nobody_sees_no_rows(viewer):
    row = ImportRowFactory(cells=["secret-cell"])
    analyst, client = in_role(Role.ANALYST)
    before = client.get(object_url(row.job))
    analyst.user_permissions.set(find_permissions(["contacts.view_importjob"]))

    shown, hidden = page_of(viewer, row.job), page_of(client, row.job)
    refused = client.get(url(row.job, "refused"))

    assert "secret-cell" in shown
    assert "secret-cell" not in hidden
    assert (before.status_code, refused.status_code) == (403, 403)


def test_get_changes_nothing(staff):
    job = check("email\na@example.com\n")

    answers = [staff.get(url(job, name)) for name in ("check", "reshape")]

    job.refresh_from_db()
    assert {answer.status_code for answer in answers} == {405}
    assert job.status == "checked"
