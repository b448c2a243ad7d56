"""Celery's queue on PostgreSQL: made once, and a worker that waits is woken at once."""

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from django.conf import settings as django_settings
from django.db import connection
from kombu import Connection, Consumer, Producer, Queue
from pgmq import PGMQueue
from psycopg.conninfo import conninfo_to_dict

from apps.core import broker
from config.celery import app, pgmq_address

QUEUE = "cuepost"


@pytest.fixture
def url(settings: Any, django_db_setup: None) -> str:
    """The test's own database, as a broker."""
    name = connection.settings_dict["NAME"]
    parts = urlsplit(django_settings.DATABASE_URL)._replace(scheme="pgmq", path=f"/{name}")
    settings.CELERY_BROKER_URL = urlunsplit(parts)
    return urlunsplit(parts)


def options(url: str) -> dict[str, Any]:
    return {"init_extension": False, "pool_size": 2, "conn_string": pgmq_address(url)}


@pytest.fixture
def listening(url: str, transactional_db: None) -> Iterator[Connection]:
    broker.install()
    reading = app.connection_for_read(url, transport_options=options(url))
    yield reading
    reading.close()
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA pgmq CASCADE")


def publish_soon(url: str) -> threading.Thread:
    def publish() -> None:
        time.sleep(0.5)
        with app.connection_for_write(url, transport_options=options(url)) as writing:
            Producer(writing).publish({"sent_at": time.monotonic()}, routing_key=QUEUE)

    thread = threading.Thread(target=publish)
    thread.start()
    return thread


def test_queue_is_made_once(db, url):
    broker.install()
    broker.install()

    with connection.cursor() as cursor:
        cursor.execute("SELECT queue_name, is_unlogged FROM pgmq.meta")
        assert cursor.fetchall() == [(QUEUE, True)]


def test_queue_is_not_made_where_redis_is_the_broker(db, settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1/0"

    broker.install()

    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('pgmq.meta')")
        assert cursor.fetchone() == (None,)


def test_a_waiting_worker_is_woken_at_once(listening, url):
    delays: list[float] = []

    def receive(body: dict[str, float], message: Any) -> None:
        delays.append(time.monotonic() - body["sent_at"])
        message.ack()

    with Consumer(listening, queues=[Queue(QUEUE)], callbacks=[receive]):
        publisher = publish_soon(url)
        listening.drain_events(timeout=10)
        publisher.join()

    # A worker that polls would look once a second.
    assert len(delays) == 1
    assert delays[0] < 0.4


@pytest.mark.parametrize("password", ["simple", "a b", "it's", "back\\slash", "p@ss:w/o?r#d%", "ü"])
def test_any_password_and_the_options_of_the_address_reach_the_server(url, password):
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    address = f"postgres://me:{quote(password, safe='')}@{host}{parts.path}?sslmode=disable"

    with PGMQueue(conn_string=pgmq_address(address), init_extension=False).pool as pool:
        told = conninfo_to_dict(pool.conninfo)

    assert told == {
        "host": "127.0.0.1",
        "port": str(parts.port),
        "dbname": parts.path[1:],
        "user": "me",
        "password": password,
        "sslmode": "disable",
    }
