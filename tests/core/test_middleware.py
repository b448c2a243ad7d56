"""What surrounds the pages of the admin, where no page of ours shows it yet."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import reverse

from apps.accounts.models import AccessRecord
from apps.contacts.models import Contact, Identity
from apps.core.middleware import WatchPersonalData
from apps.core.viewing import MASK, MAX_NOTED, Viewing, hide, hide_judged, viewed_by
from tests.factories.accounts import StaffFactory
from tests.factories.contacts import ContactFactory, IdentityFactory

pytestmark = pytest.mark.django_db

EMAIL = "zephyrine@quackenbush.example"


def visit(answer: Callable[[Any], Any], *, is_superuser: bool, path: str = "") -> Any:
    request = RequestFactory().get(path or reverse("admin:index"))
    request.user = StaffFactory(is_superuser=is_superuser)
    return WatchPersonalData(answer)(request)


def export(request: Any) -> StreamingHttpResponse:
    """A file that is made while it is sent, with an address that no row of ours holds."""
    names = (f"{contact.first_name},{contact.email}\n" for contact in Contact.objects.all())
    return StreamingHttpResponse([*names, f"copy to {EMAIL}"])


def lazily(request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"{one.first_name}\n" for one in Contact.objects.all())


@pytest.mark.parametrize("answer", [export, lazily])
def test_a_file_is_masked_while_it_is_sent(answer):
    ContactFactory(first_name="Zephyrine", email=EMAIL)

    masked = b"".join(visit(answer, is_superuser=False)).decode()
    whole = b"".join(visit(answer, is_superuser=True)).decode()

    assert "Zephyrine" not in masked
    assert EMAIL not in masked
    assert "Zephyrine" in whole


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("text/html", MASK), ("application/json", MASK), ("application/zip", EMAIL)],
)
def test_addresses_are_taken_out_of_texts(kind, shown):
    response = visit(lambda _: HttpResponse(EMAIL, content_type=kind), is_superuser=False)

    assert response.content.decode() == shown


def test_a_page_outside_the_admin_is_left_alone():
    response = visit(lambda _: HttpResponse(EMAIL), is_superuser=False, path="/preferences/x")

    assert response.content.decode() == EMAIL


def test_a_page_that_failed_leaves_no_note():
    ContactFactory()

    def fail(request: Any) -> HttpResponse:
        return HttpResponse(str(list(Contact.objects.all())), status=404)

    visit(fail, is_superuser=True)

    assert not AccessRecord.objects.exists()


def test_masks_keep_the_shape_of_a_payload():
    payload = {"a": ["x", 1, None, True, {"b": "y"}], "c": "", "d": 1.5}

    assert hide(payload) == {"a": [MASK, MASK, None, True, {"b": MASK}], "c": "", "d": MASK}


def test_masks_leave_what_a_decision_is_called_by():
    judged = {
        "reason": "too_soon", "until": "2026-03-02T12:00:00+00:00", "count": 3, "city": "Paris",
        "parts": [{"condition": "lives in Paris", "city": ["Paris"], "on": "2026-03-02"}],
    }  # fmt: skip

    assert hide_judged(judged) == {
        "reason": "too_soon", "until": "2026-03-02T12:00:00+00:00", "count": 3, "city": MASK,
        "parts": [{"condition": "lives in Paris", "city": [MASK], "on": "2026-03-02"}],
    }  # fmt: skip


def test_a_masked_row_can_be_asked_for_whole():
    IdentityFactory(value="browser")
    with viewed_by(Viewing(is_masked=True)):
        identity = Identity.objects.get(kind="anonymous_id")
        whole = identity.whole()

    assert identity.value == MASK
    assert whole.value.startswith("b_")
    assert whole.whole() is whole


def test_a_crowd_is_noted_up_to_a_limit(monkeypatch):
    monkeypatch.setattr("apps.core.viewing.MAX_NOTED", 2)
    for _ in range(3):
        ContactFactory()
    viewing = Viewing(is_masked=False)

    with viewed_by(viewing):
        list(Contact.objects.all())

    assert len(viewing.contact_ids) == 2 < MAX_NOTED
