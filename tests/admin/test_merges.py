"""Possible duplicates: staff sees both, decides, and may take it back."""

import pytest
from django.contrib.auth.models import Permission

from apps.contacts.models import Contact, MergeLog, MergeSuggestion
from apps.core.pages import model_url, object_url
from tests.admin.conftest import at_browser
from tests.factories.accounts import StaffFactory
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory, MergeSuggestionFactory
from tests.factories.events import EventFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture
def suggestion():
    contact = ContactFactory(external_id="ada", email="ada@example.com", first_name="Ada")
    other = ContactFactory(
        email="countess@example.com",
        first_name="Countess",
        country="GB",
        attributes={"size": "M"},
    )
    EventFactory(contact=other)
    grant(other, "email_marketing", NOON)
    return MergeSuggestionFactory(contact=contact, other=other)


def act(row, action):
    return f"{model_url(type(row))}{row.pk}/{action}/"


def text(answer):
    return " ".join(answer.content.decode().split())


def test_both_stand_side_by_side_with_what_survives(staff, suggestion):
    page = text(staff.get(object_url(suggestion)))

    assert "<td>ada@example.com</td><td>countess@example.com</td><td>ada@example.com</td>" in page
    assert "<td>–</td><td>GB</td><td>GB</td>" in page
    assert '<th scope="row">Events</th><td>0</td><td>1</td>' in page
    assert '<th scope="row">size</th><td>–</td><td>M</td><td>M</td>' in page
    assert "<td>–</td><td>email marketing: granted</td><td>a no of either counts</td>" in page


def test_staff_may_let_the_other_one_stay(staff, suggestion):
    page = text(staff.get(f"{object_url(suggestion)}?swap=1"))
    answer = staff.post(f"{act(suggestion, 'accept')}?swap=1")

    survivor = Contact.objects.present().get()
    assert "<td>countess@example.com</td><td>ada@example.com</td>" in page
    assert answer.status_code == 302
    assert (survivor, survivor.first_name) == (suggestion.other, "Countess")


def test_looking_merges_nobody(staff, suggestion):
    question = text(staff.get(act(suggestion, "accept")))
    staff.get(act(suggestion, "refuse"))

    assert "Merge Countess into Ada?" in question
    assert Contact.objects.present().count() == 2
    assert MergeSuggestion.objects.get().status == "open"


def test_merged_and_undone(staff, suggestion):
    done = staff.post(act(suggestion, "accept"), follow=True)
    log = MergeLog.objects.get()
    page = text(staff.get(object_url(log)))
    person = staff.get(object_url(suggestion.contact)).content.decode()
    old_link = staff.get(object_url(suggestion.other))
    undone = staff.post(act(log, "undo"), follow=True)

    assert "The two are one contact now." in done.content.decode()
    assert log.merged_by == "boss"
    assert "<span>Events</span> <strong>1</strong>" in page
    assert "What came in since the merge stays with Ada" in page
    assert object_url(log) in person
    assert old_link.url == object_url(suggestion.contact)
    assert "They are two contacts again." in undone.content.decode()
    assert "Undone" in staff.get(object_url(log)).content.decode()
    assert Contact.objects.present().count() == 2
    assert suggestion.other.events.count() == 1


def test_refused_is_noted(staff, suggestion):
    staff.post(act(suggestion, "refuse"))

    suggestion.refresh_from_db()
    page = staff.get(object_url(suggestion)).content.decode()
    assert (suggestion.status, suggestion.decided_by) == ("refused", "boss")
    assert "Two people" in page
    assert "Side by side" not in page


def test_what_was_decided_is_not_decided_again(staff, suggestion):
    staff.post(act(suggestion, "refuse"))

    answer = staff.post(act(suggestion, "accept"), follow=True)

    assert "Somebody has decided on this before." in answer.content.decode()
    assert Contact.objects.present().count() == 2


def test_who_may_only_look_decides_nothing(suggestion):
    user = StaffFactory()
    names = ["view_mergesuggestion", "view_mergelog", "view_personal_data", "change_contact"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    browser = at_browser(user)

    page = browser.get(object_url(suggestion)).content.decode()
    answers = [browser.post(act(suggestion, action)) for action in ("accept", "refuse")]

    assert "Side by side" in page
    assert "They are two people" not in page
    assert [answer.status_code for answer in answers] == [403, 403]
    assert MergeSuggestion.objects.get().status == "open"


def test_the_list_says_what_waits(staff, suggestion):
    MergeSuggestionFactory(status="refused", decided_at=suggestion.last_seen_at)

    everything = staff.get(model_url(MergeSuggestion)).context["cl"].result_list
    waiting = staff.get(model_url(MergeSuggestion), {"state": "open"}).context["cl"].result_list

    assert (len(everything), list(waiting)) == (2, [suggestion])


def test_the_index_says_how_many_wait(staff, suggestion):
    page = text(staff.get("/admin/"))

    assert "Possible duplicates" in page
    assert "Nobody is merged before you have decided." in page


def test_the_list_of_people_shows_who_is_there(staff, suggestion):
    staff.post(act(suggestion, "accept"))

    shown = staff.get(model_url(Contact)).context["cl"].result_list

    assert list(shown) == [suggestion.contact]
