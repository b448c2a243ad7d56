"""The tracking plan in the admin: what is shown, changed and refused."""

import json

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from apps.core.pages import model_url, object_url
from apps.events import definitions, pipeline, services
from apps.events.models import EventDefinition
from tests.admin.conftest import at_browser
from tests.events.messages import track
from tests.factories.accounts import StaffFactory
from tests.factories.events import EventDefinitionFactory, SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def save(client, definition, **changes):
    data = {
        "name": definition.name,
        "description": definition.description,
        "schema": json.dumps(definition.schema),
        "natural_key": definition.natural_key,
        "choice": definition.choice,
        **changes,
    }
    return client.post(object_url(definition), data)


def send(*messages):
    services.accept(source=SourceFactory(), is_secret=True, messages=messages, received_at=NOON)
    pipeline.drain(now=NOON)


def test_the_page_shows_rules_what_was_seen_and_mistakes(staff):
    send(track("Order Completed", userId="u1", properties={"order_id": "o1", "total": "9"}))
    definition = EventDefinition.objects.get(name="Order Completed")

    content = staff.get(object_url(definition)).content.decode()

    assert "“total” is of the wrong kind" in content
    assert "text of 1 characters" in content
    assert "natural key" in content
    assert "required" in content


def test_staff_changes_what_becomes_of_a_mistake(staff):
    definition = EventDefinitionFactory()

    save(staff, definition, choice="reject", natural_key="score")

    definition.refresh_from_db()
    assert (definition.choice, definition.natural_key) == ("reject", "score")


@pytest.mark.parametrize(
    "schema", ["{", "[1]", '{"type": "nothing"}', '{"properties": {"a": {"pattern": "(a+)+"}}}']
)
def test_rules_that_can_not_be_used_are_refused_and_stay_in_the_form(staff, schema):
    definition = EventDefinitionFactory()

    answer = save(staff, definition, schema=schema)

    assert answer.status_code == 200
    assert "cp-errors" in answer.content.decode()
    definition.refresh_from_db()
    assert definition.schema == {"properties": {"score": {"type": "number"}}}


def test_no_rules_are_fine(staff):
    definition = EventDefinitionFactory()

    save(staff, definition, schema="")

    definition.refresh_from_db()
    assert definition.schema == {}


def test_an_event_is_added_by_hand_once(staff):
    url = model_url(EventDefinition, "add")
    data = {"name": "Quiz Won", "schema": "{}", "choice": "flag"}

    first, second = staff.post(url, data), staff.post(url, data)

    assert (first.status_code, second.status_code) == (302, 200)
    assert EventDefinition.objects.get(name="Quiz Won").origin == "by_hand"


def test_rules_are_made_of_what_was_seen(staff):
    send(track("Quiz", userId="u1", properties={"score": 3, "tags": ["a"], "mixed": 1}))
    send(track("Quiz", userId="u1", properties={"mixed": "x"}))
    definition = EventDefinition.objects.get(name="Quiz")
    url = reverse("admin:events_eventdefinition_adopt_seen", args=[definition.pk])

    asked = staff.get(url)
    staff.post(url)

    definition.refresh_from_db()
    assert asked.status_code == 200
    assert definition.schema == {
        "type": "object",
        "properties": {
            "mixed": {"type": ["number", "string"]},
            "score": {"type": "number"},
            "tags": {"type": "array"},
        },
    }
    send(track("Quiz", userId="u1", properties={"score": "three"}))
    assert definition.violations.get().property == "score"


def test_rules_that_are_there_stay_when_others_are_made():
    definition = EventDefinitionFactory(seen_properties={"score": ["text"], "won": ["yes/no"]})

    definitions.adopt_seen(definition)

    assert definition.rules == {"score": {"type": "number"}, "won": {"type": "boolean"}}


def test_a_built_in_event_can_not_be_deleted(staff):
    built_in = EventDefinition.objects.get(name="Product Viewed")
    by_hand = EventDefinitionFactory()

    answers = [
        staff.post(model_url(EventDefinition, "delete", one.pk), {"post": "yes"}).status_code
        for one in (built_in, by_hand)
    ]

    assert answers == [403, 302]


def test_an_analyst_looks_and_a_marketer_changes(db):
    definition = EventDefinitionFactory()
    clients = []
    for role in ("Analyst", "Marketer"):
        user = StaffFactory()
        user.groups.add(Group.objects.get(name=role))
        clients.append(at_browser(user))
    analyst, marketer = clients

    looked = analyst.get(object_url(definition)).status_code
    refused = save(analyst, definition, choice="reject").status_code
    changed = save(marketer, definition, choice="flag").status_code

    definition.refresh_from_db()
    assert (looked, refused, changed, definition.choice) == (200, 403, 302, "flag")
