"""Every page of the admin: it opens, only for staff, and costs the same at any number of rows."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.contacts.models import Contact
from apps.core.backoffice import ReadOnlyAdmin
from apps.core.pages import model_url, object_url
from apps.workflows.models import Workflow
from tests.admin.samples import SAMPLES

NAMED = sorted(SAMPLES, key=lambda model: model.__name__)
MODELS = pytest.mark.parametrize("model", NAMED, ids=lambda model: model.__name__)
READ_ONLY = pytest.mark.parametrize(
    "model",
    [one for one in NAMED if isinstance(admin.site.get_model_admin(one), ReadOnlyAdmin)],
    ids=lambda model: model.__name__,
)
# A page's session and user, then the rows and their number, and what some filters offer.
QUERIES_OF_A_LIST = {"Enrollment": 5, "User": 5}


def test_there_is_a_sample_of_every_registered_model():
    assert set(SAMPLES) == set(admin.site._registry)


@MODELS
def test_every_page_opens_for_whoever_may_do_everything(staff, model):
    row = SAMPLES[model]()

    answers = [staff.get(model_url(model)), staff.get(object_url(row))]
    if admin.site.get_model_admin(model).has_add_permission(answers[0].wsgi_request):
        answers.append(staff.get(model_url(model, "add")))

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content.count(b"<h1") for answer in answers} == {1}


@MODELS
def test_every_page_opens_for_whoever_may_only_look(viewer, model):
    row = SAMPLES[model]()

    page, single = viewer.get(model_url(model)), viewer.get(object_url(row))
    refused = [viewer.get(model_url(model, "add")), viewer.post(object_url(row), {})]

    assert (page.status_code, single.status_code) == (200, 200)
    assert {answer.status_code for answer in refused} == {403}
    assert b'name="_save"' not in single.content
    assert b'name="action"' not in page.content


@MODELS
def test_a_list_asks_the_same_of_the_database_for_one_row_and_for_three(staff, model):
    first = SAMPLES[model]()
    counts = []
    for rows in (1, 3):
        for _ in range(rows - 1):
            SAMPLES[model]()
        with CaptureQueriesContext(connection) as queries:
            assert str(first.pk) in staff.get(model_url(model)).content.decode()
        counts.append(len(queries))

    assert counts == [QUERIES_OF_A_LIST.get(model.__name__, 4)] * 2


@MODELS
def test_nobody_sees_a_page_who_is_not_staff(client, db, model):
    row = SAMPLES[model]()

    for url in (model_url(model), object_url(row)):
        answer = client.get(url)
        assert (answer.status_code, answer.url) == (302, f"/admin/login/?next={url}")


@READ_ONLY
def test_what_the_product_writes_itself_can_not_be_edited(staff, model):
    row = SAMPLES[model]()

    answer = staff.post(object_url(row), {"status": "sent"})

    assert answer.status_code == 403


def test_a_list_counts_no_further_than_it_has_to(staff, monkeypatch):
    monkeypatch.setattr("apps.core.backoffice.MAX_COUNTED", 2)
    for _ in range(4):
        SAMPLES[Contact]()

    page = staff.get(model_url(Contact)).content.decode()

    assert "2+ contacts" in page
    assert "Filter or search for older ones." in page


def test_a_list_without_rows_says_what_to_do(staff):
    page = staff.get(model_url(Workflow)).content.decode()

    assert "Nothing here yet" in page
    assert "Start with a recipe" in page


def test_a_search_without_hits_offers_everything(staff):
    SAMPLES[Contact]()

    page = staff.get(model_url(Contact), {"q": "nobody@nowhere.example"}).content.decode()

    assert "Nothing fits" in page
    assert "0 found" in page
