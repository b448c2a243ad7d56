"""The health pages."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from apps.core import registry
from apps.core.registry import Lag, Probe
from tests.brokers import use_broker
from tests.factories.events import SourceFactory

pytestmark = pytest.mark.django_db


def test_process_answers_without_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_tells_how_far_each_queue_is_behind(client):
    answer = client.get("/readyz").json()

    assert answer == {
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "inbox": {"due": 0, "oldest_seconds": 0},
        "engine": {"due": 0, "oldest_seconds": 0},
        "outbox": {"due": 0, "oldest_seconds": 0},
        "service_mails": {"due": 0, "oldest_seconds": 0},
    }


def test_an_old_event_in_the_inbox_is_told(client):
    from apps.events import services as events

    long_ago = timezone.now() - timedelta(minutes=6)
    messages = [{"type": "track", "event": "Product Viewed", "userId": "ada"}]
    events.accept(source=SourceFactory(), is_secret=True, messages=messages, received_at=long_ago)

    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json()["status"] == "behind"
    assert response.json()["inbox"]["due"] == 1


def test_a_dead_database_is_told(client):
    def refuse(execute, sql, params, many, context):
        raise OperationalError("gone")

    with connection.execute_wrapper(refuse):
        response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "down", "database": "OperationalError"}


def test_a_dead_broker_is_told_and_does_not_take_us_out(client):
    with use_broker("redis://127.0.0.1:1/0"):
        response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json()["broker"] == "OperationalError"


def test_probes_are_registered_by_name():
    probe = Probe("test", "Test", lambda now: Lag(0, timedelta(0)))

    assert {probe.name for probe in registry.probes()} >= {"inbox", "engine", "outbox"}
    assert probe not in registry.probes()
