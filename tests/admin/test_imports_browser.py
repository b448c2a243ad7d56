"""The pages of an import in a real browser: progress that moves, columns chosen by hand."""

import pytest

from apps.contacts.models import Contact, ImportJob
from apps.core.pages import model_url, object_url
from tests.admin.test_browser import browser, open_page
from tests.contacts.sheets import work
from tests.factories.contacts import ContactFieldFactory, ImportJobFactory

__all__ = ["browser"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_progress_moves_by_itself_and_ends_with_the_report(browser):
    job = ImportJobFactory(status="running", row_count=200, done_count=50, finished_at=None)
    page, complaints = open_page(browser, object_url(job))
    page.get_by_text("50 of 200 rows, 25 %").wait_for()

    ImportJob.objects.filter(pk=job.pk).update(done_count=150)
    page.get_by_text("150 of 200 rows, 75 %").wait_for()
    ImportJob.objects.filter(pk=job.pk).update(status="done", done_count=200)

    page.get_by_role("heading", name="Done").wait_for()
    assert complaints == []


def test_a_file_is_uploaded_and_matched_by_hand(browser, settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path
    ContactFieldFactory(key="tea", label="Tea", kind="choice", choices=["Oolong"])
    page, complaints = open_page(browser, model_url(ImportJob, "add"))

    text = b"Wohin;Tasse\na@example.com;oolong\nb@example.com;coffee\n"
    file = {"name": "tea.csv", "mimeType": "text/csv", "buffer": text}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.get_by_label("Wohin").select_option(label="E-mail address")
    page.get_by_label("Tasse").select_option(label="Tea")
    page.get_by_role("button", name="Check the file").click()
    page.wait_for_load_state("networkidle")
    work(ImportJob.objects.get())
    page.reload()
    page.get_by_role("link", name="Take the file in").click()
    page.get_by_role("button", name="Take the file in").click()
    page.wait_for_load_state("networkidle")
    work(ImportJob.objects.get())

    page.get_by_role("heading", name="Refused rows").wait_for()
    assert page.get_by_text("Tea: none of Oolong.").is_visible()
    assert Contact.objects.get().attributes == {"tea": "Oolong"}
    assert complaints == []
