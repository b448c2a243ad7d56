"""Python and SQL judge every value alike, whatever JSON can hold."""

import pytest
from django.db import connection, transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.contacts.models import Contact
from apps.events.models import Event
from apps.segments.compiler import contacts_matching
from apps.segments.conditions import matches_event, parse
from apps.segments.operators import OPERATORS
from tests.factories.contacts import ContactFactory
from tests.factories.events import EventFactory, SourceFactory
from tests.instants import NOON
from tests.segments.strategies import DEMANDS, JSON, PATHS

pytestmark = pytest.mark.django_db

DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b", "'; DROP --", "%s", "{}"]), JSON, max_size=3)


def store(documents):
    """One contact for each document, who has it as attributes and as an event's properties."""
    EventFactory(contact=None)
    source = SourceFactory()
    contacts = Contact.objects.bulk_create([Contact(attributes=one) for one in documents])
    Event.objects.bulk_create(
        Event(
            contact=contact,
            type="track",
            name="A",
            properties=contact.attributes,
            source=source,
            message_id=f"document-{contact.pk}",
            is_trusted=True,
            received_at=NOON,
            occurred_at=NOON,
        )
        for contact in contacts
    )
    return contacts


@settings(max_examples=150, deadline=None)
@given(documents=st.lists(DOCUMENTS, min_size=1, max_size=12), path=PATHS, demand=DEMANDS)
@example([{"a": "2026-02-30"}, {"a": "2026-03-03"}], ["a"], {"after": "2026-03-02"})
@example([{"a": ["x"]}, {"a": {"0": "x"}}], ["a", "0"], {"is": "x"})
@example([{"a": 10**40}, {"a": "1e400"}, {"a": 1e308}], ["a"], {"at_least": 10**28})
def test_python_and_sql_agree(documents, path, demand):
    name = ".".join(path)
    did = parse({"did": "A", "where": [{"property": name, **demand}]})
    known = parse({"attribute": name, **demand})

    with transaction.atomic():
        contacts = store(documents)
        by_event = set(contacts_matching(did, as_of=NOON))
        by_attribute = set(contacts_matching(known, as_of=NOON))
        transaction.set_rollback(True)

    assert by_event == {one for one in contacts if matches_event(did, one.attributes)}
    assert by_attribute == by_event


UNHEARD_OF = ["1e400", "-1e-400", '"1e400"', "[[[]]]", '{"a": {}}', '"9999-99-99"', '"\\u00e9"']
SIMPLEST = {
    "in": ["7", 7, True],
    "not_in": ["7", 7, True],
    "contains": "7",
    "starts_with": "7",
    "ends_with": "7",
    "before": "2026-03-02",
    "after": "2026-03-02",
    "is_set": True,
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_stored_json_makes_a_query_fail(operator):
    contact = ContactFactory()
    condition = parse({"attribute": "a", operator: SIMPLEST.get(operator, 7)})

    for value in UNHEARD_OF:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE contacts_contact SET attributes = jsonb_build_object('a', %s::jsonb)",
                [value],
            )
        assert set(contacts_matching(condition, as_of=NOON)) <= {contact}
