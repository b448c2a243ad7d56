"""Every page of the admin: it opens, only for staff, and costs the same at any number of rows."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.contacts.models import Contact
from apps.core.backoffice import ReadOnlyAdmin
from apps.core.pages import model_url, object_url
from apps.segments.selectors import Size
from apps.workflows.models import Workflow
from tests.admin.samples import SAMPLES
from tests.factories.commerce import ProductFactory
from tests.factories.contacts import ContactFactory
from tests.factories.segments import SegmentFactory

NAMED = sorted(SAMPLES, key=lambda model: model.__name__)
MODELS = pytest.mark.parametrize("model", NAMED, ids=lambda model: model.__name__)
READ_ONLY = pytest.mark.parametrize(
    "model",
    [one for one in NAMED if isinstance(admin.site.get_model_admin(one), ReadOnlyAdmin)],
    ids=lambda model: model.__name__,
)
# A page's session and user, then the rows and their number, and what some filters offer.
# Where people are shown, the access log is told; retention counts what would go of each kind.
QUERIES_OF_A_LIST = {
    "AccessRecord": 5, "Cart": 5, "ConsentRecord": 5, "Contact": 5, "Enrollment": 6, "Event": 5,
    "Message": 5, "Order": 5, "ServiceMail": 5, "Suppression": 5, "User": 5, "AnonymousConsent": 5,
    "Banner": 5, "PendingSignup": 6, "Jurisdiction": 6, "WordingVersion": 5, "LiftedSuppression": 5,
    "MergeLog": 5, "MergeSuggestion": 5, "PrivacyRequest": 6, "Retention": 16,
}  # fmt: skip


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


def test_a_list_of_many_pages_leads_to_each_of_them(staff, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Contact), "list_per_page", 1)
    for _ in range(20):
        SAMPLES[Contact]()

    page = staff.get(model_url(Contact), {"p": "10"}).content.decode()
    beyond = staff.get(model_url(Contact), {"p": "99"})

    links = [number for number in range(1, 21) if f'href="?p={number}"' in page]
    assert links == [1, 8, 9, 11, 12, 20]
    assert '<span aria-current="page">10</span>' in page
    assert beyond.status_code == 302


def test_a_product_is_shown_as_mails_show_it(staff):
    product = ProductFactory(image_url="https://shop.example/mug.png", name="A <b>mug</b>")

    page = staff.get(object_url(product)).content.decode()

    assert '<img src="https://shop.example/mug.png" alt="A &lt;b&gt;mug&lt;/b&gt;"' in page


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"attribute": "country", "is": "DE"}, "1 contact now."),
        ({"what": 1}, "This condition can&#x27;t be used: "),
        ({"in_segment": "gone"}, "gone"),
    ],
)
def test_a_segment_says_who_is_in_it(staff, condition, words):
    ContactFactory(country="DE")

    page = staff.get(object_url(SegmentFactory(condition=condition))).content.decode()

    assert words in page


def test_a_segment_that_is_too_large_to_count_says_so(staff, monkeypatch):
    monkeypatch.setattr("apps.segments.selectors.measure", lambda segment, now: Size(None))

    page = staff.get(object_url(SegmentFactory())).content.decode()

    assert "Counting takes too long for this page." in page


def test_a_list_without_rows_says_what_to_do(staff):
    page = staff.get(model_url(Workflow)).content.decode()

    assert "Nothing here yet" in page
    assert "Start with a recipe" in page
    assert f'href="{reverse("admin:workflows_workflow_recipes")}">Install a recipe</a>' in page


def test_a_search_without_hits_offers_everything(staff):
    SAMPLES[Contact]()

    page = staff.get(model_url(Contact), {"q": "nobody@nowhere.example"}).content.decode()

    assert "Nothing fits" in page
    assert "0 found" in page
