"""PostgreSQL has ended a connection that a web thread still holds."""

import psycopg
import pytest
from django.db import connection

from apps.events import services
from apps.events.models import InboxEvent
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db(transaction=True)


def end_connection() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def accept(*message_ids: str) -> services.Accepted:
    source = services.find_source(SourceFactory().public_key)
    assert source
    messages = [{"type": "page", "anonymousId": "a1", "messageId": one} for one in message_ids]
    end_connection()
    return services.accept(source=source[0], is_secret=False, messages=messages, received_at=NOON)


@pytest.mark.parametrize("message_ids", [["m1"], ["m1", "m2"]])
def test_an_event_is_stored_on_a_new_connection(message_ids):
    accepted = accept(*message_ids)

    assert accepted == services.Accepted(stored=len(message_ids))
    assert list(InboxEvent.objects.values_list("message_id", flat=True)) == message_ids
