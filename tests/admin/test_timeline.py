"""The timeline of a contact: several tables in one order, page by page."""

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.contacts import selectors
from apps.contacts.selectors import BadPosition, Position
from apps.core.pages import object_url
from apps.workflows.models import EntryRefusal
from tests.admin.conftest import at_browser
from tests.factories.accounts import StaffFactory
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory
from tests.factories.messaging import MessageFactory
from tests.factories.workflows import EnrollmentFactory, StepLogFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def live_through_a_lot(contact):
    """Two of each kind, all at the same instant or a minute later."""
    enrollment = EnrollmentFactory(contact=contact, version__workflow__name="Carts")
    for minutes in (0, 1):
        at = NOON + timedelta(minutes=minutes)
        EventFactory(contact=contact, received_at=at, properties={"name": "Mug"})
        MessageFactory(contact=contact, queued_at=at)
        grant(contact, ("email_marketing", "tracking")[minutes], at)
        StepLogFactory(enrollment=enrollment, outcome="Product Added", logged_at=at)
        EntryRefusal.objects.create(
            workflow=enrollment.workflow,
            contact=contact,
            event_id=1,
            reason="too_old",
            refused_at=at,
        )


def pages_of(contact, limit):
    """Every page, as a reader would turn them."""
    before = None
    while True:
        timeline = selectors.get_timeline(contact, before=before, limit=limit)
        yield timeline
        if timeline.older is None:
            return
        before = Position.read(str(timeline.older))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 10, 25])
def test_turning_pages_shows_each_entry_once_and_in_order(limit):
    contact = ContactFactory()
    live_through_a_lot(contact)
    live_through_a_lot(ContactFactory())

    pages = list(pages_of(contact, limit))

    places = [(line.at, line.source.order) for page in pages for line in page.lines]
    assert len(places) == 10
    assert places == sorted(places, key=lambda place: (place[0], -place[1]), reverse=True)
    titles = [
        (line.source.name, line.at, line.entry.title) for page in pages for line in page.lines
    ]
    assert len(set(titles)) == 10
    assert {len(page.lines) for page in pages[:-1]} <= {limit}


def test_entries_are_told_in_plain_words():
    contact = ContactFactory()
    live_through_a_lot(contact)

    lines = selectors.get_timeline(contact).lines[-5:]

    assert [(line.source.name, line.entry.title) for line in lines] == [
        ("workflows", "Carts: entered because of Product Added"),
        ("refusals", "Carts did not start: the event was too old"),
        (
            "mails",
            f"Mail “{contact.messages.first().template_version.template.name}” waits to be sent",
        ),
        ("consents", "Allowed E-mail marketing"),
        ("events", "Looked at “Mug”"),
    ]


def test_a_mail_says_whether_it_was_opened_and_clicked():
    mail = MessageFactory(opened_at=NOON, clicked_at=NOON)

    (line,) = selectors.get_timeline(mail.contact).lines

    assert line.entry.note == f"{mail.template_version.template} · opened · clicked"


def test_one_kind_alone_can_be_read():
    contact = ContactFactory()
    live_through_a_lot(contact)

    timeline = selectors.get_timeline(contact, only="mails")

    assert [line.source.name for line in timeline.lines] == ["mails", "mails"]


@pytest.mark.parametrize("text", ["", "x", "2026~1", "2026-03-02T12:00:00~a~1", "now~1~1", "~~"])
def test_a_place_that_is_none_is_refused(text):
    with pytest.raises(BadPosition):
        Position.read(text)


def test_the_page_leads_on_to_what_is_older(staff, monkeypatch):
    contact = ContactFactory()
    for minutes in range(30):
        at = NOON + timedelta(minutes=minutes)
        EventFactory(contact=contact, received_at=at, name=f"Event {minutes}")

    first = staff.get(object_url(contact))
    older = first.context["timeline"].older
    second = staff.get(object_url(contact), {"before": str(older)})

    assert b'rel="next"' in first.content
    assert [line.entry.title for line in first.context["timeline"].lines][:2] == [
        "Event 29",
        "Event 28",
    ]
    assert [line.entry.title for line in second.context["timeline"].lines] == [
        "Event 4",
        "Event 3",
        "Event 2",
        "Event 1",
        "Event 0",
    ]
    assert b'rel="next"' not in second.content


def test_a_damaged_address_of_a_page_is_not_found(staff):
    answer = staff.get(object_url(ContactFactory()), {"before": "nowhere"})

    assert answer.status_code == 404


def test_a_longer_history_asks_no_more_of_the_database(staff, django_assert_num_queries):
    short, long = ContactFactory(), ContactFactory()
    live_through_a_lot(short)
    for _ in range(3):
        EnrollmentFactory(contact=long)
        EventFactory(contact=long)
        MessageFactory(contact=long)
    live_through_a_lot(long)

    staff.get(object_url(short))  # What a process keeps for a while is read now.

    for contact in (short, long):
        with django_assert_num_queries(24):
            staff.get(object_url(contact))


def test_the_timeline_keeps_to_what_somebody_may_see():
    contact = ContactFactory()
    live_through_a_lot(contact)
    client = at_browser(StaffFactory(permissions=["contacts.view_contact", "events.view_event"]))

    page = client.get(object_url(contact))

    assert {line.source.name for line in page.context["timeline"].lines} == {"events"}
    assert page.context["panels"] == []
    assert reverse("admin:workflows_workflow_why", args=[contact.pk]) not in page.content.decode()
