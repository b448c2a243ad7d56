"""The first page: how the queues are doing, what needs somebody, what to do next."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.events import services as events
from apps.messaging import selectors
from apps.messaging.models import Message
from apps.workflows import services as workflows
from config.sidebar import MENU
from tests.admin.conftest import at_browser
from tests.factories.accounts import StaffFactory
from tests.factories.consent import grant
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory, RejectedEventFactory, SourceFactory
from tests.factories.messaging import MessageFactory
from tests.factories.workflows import WorkflowVersionFactory
from tests.instants import NOON

INDEX = reverse("admin:index")


def findings(page: Any, key: str) -> dict[str, tuple[str, str]]:
    """What a board says: each label with its value and where it leads."""
    board = next(board for board in page.context["boards"] if board.key == key)
    return {one.label: (one.value, one.url) for one in board.findings}


def sent(contact: Any, **fields: Any) -> Message:
    record = grant(contact, "email_marketing", NOON)
    return MessageFactory(contact=contact, status="sent", consent_record=record, **fields)


def test_a_new_installation_is_told_its_next_steps(staff):
    page = staff.get(INDEX)

    steps = [(one.step.title, one.is_done) for one in page.context["first_steps"]]
    assert steps == [
        ("Make a source", False),
        ("Send the first event", False),
        ("Install a recipe", False),
        ("Go live", False),
    ]
    assert reverse("admin:workflows_workflow_recipes") in page.content.decode()


def test_steps_that_are_done_are_ticked_off(staff):
    SourceFactory()
    workflows.install_recipe(key="cart-recovery", now=NOON)

    steps = staff.get(INDEX).context["first_steps"]

    assert [one.is_done for one in steps] == [True, False, True, False]


def test_next_steps_are_gone_once_all_is_done(staff):
    EventFactory()
    WorkflowVersionFactory()

    page = staff.get(INDEX)

    assert page.context["first_steps"] == []
    assert "Next steps" not in page.content.decode()


@pytest.mark.parametrize(
    ("waited", "words"),
    [
        (timedelta(seconds=20), "1, the oldest for 2"),
        (timedelta(minutes=12), "1, the oldest for 12 minutes."),
    ],
)
def test_queues_are_told_in_words(staff, waited, words):
    source = SourceFactory()
    events.accept(
        source=source,
        is_secret=True,
        messages=[{"type": "track", "event": "X", "userId": "ada"}],
        received_at=timezone.now() - waited,
    )

    page = staff.get(INDEX).content.decode()

    assert words in page
    assert ("look whether the worker runs" in page) is (waited > timedelta(minutes=5))


def test_what_needs_somebody_is_counted_and_leads_to_its_list(staff):
    now = timezone.now()
    contact = ContactFactory()
    doubtful = sent(contact, queued_at=now)
    Message.objects.filter(pk=doubtful.pk).update(status="in_doubt")
    MessageFactory(status="failed", reason="rejected", queued_at=now)
    MessageFactory(status="failed", reason="rejected", queued_at=now - timedelta(days=8))
    RejectedEventFactory()
    RejectedEventFactory(replayed_at=NOON)

    found = findings(staff.get(INDEX), "attention")

    assert {label: value for label, (value, _) in found.items()} == {
        "Mails in doubt": "1",
        "Failed mails": "1",
        "Rejected events": "1",
    }
    assert {staff.get(url).status_code for _, url in found.values()} == {200}


def test_nothing_that_needs_somebody_is_said_as_well(staff):
    page = staff.get(INDEX).content.decode()

    assert "Nothing. Cuepost works by itself at the moment." in page


def test_the_last_day_is_told_with_the_reasons_of_what_was_not_sent(staff):
    now = timezone.now()
    sent(ContactFactory(), queued_at=now)
    for reason in ("no_consent", "no_consent", "suppressed"):
        MessageFactory(status="skipped", reason=reason, queued_at=now)
    MessageFactory(status="skipped", reason="too_late", queued_at=now - timedelta(days=2))

    found = findings(staff.get(INDEX), "day")

    assert [(label, value) for label, (value, _) in found.items()] == [
        ("Mails sent", "1"),
        ("Not sent: there is no consent to this kind of mail", "2"),
        ("Not sent: the address is kept silent", "1"),
    ]
    no_consent = found["Not sent: there is no consent to this kind of mail"][1]
    assert staff.get(no_consent).context["cl"].result_count == 2


def test_counting_stops_on_a_very_busy_day(staff, monkeypatch):
    monkeypatch.setattr(selectors, "MAX_COUNTED", 1)
    for _ in range(3):
        MessageFactory(status="failed", reason="rejected", queued_at=timezone.now())

    assert findings(staff.get(INDEX), "attention")["Failed mails"][0] == "1+"


def test_the_index_tells_nothing_that_somebody_may_not_see(db):
    RejectedEventFactory()

    page = at_browser(StaffFactory()).get(INDEX)

    assert page.context["boards"] == []
    assert page.context["first_steps"] == []
    assert [group["title"] for group in page.context["sidebar_navigation"]] == [""]


def test_the_menu_has_the_pages_that_somebody_may_open(db):
    may = ["contacts.view_contact", "messaging.view_message"]

    page = at_browser(StaffFactory(permissions=may)).get(INDEX)

    items = [
        item["title"] for group in page.context["sidebar_navigation"] for item in group["items"]
    ]
    assert items == ["Overview", "Contacts", "Outbox"]


def test_the_menu_leads_to_pages_that_open(staff):
    groups = staff.get(INDEX).context["sidebar_navigation"]

    links = [item["link"] for group in groups for item in group["items"]]
    assert {staff.get(link).status_code for link in links} == {200}
    assert len(links) == sum(len(entries) for _, entries in MENU)
