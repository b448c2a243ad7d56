"""With a real Redis as the broker, and without it from one moment to the next."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.core import services as core
from apps.events.models import Event, InboxEvent
from config.postgres import free_port
from tests.brokers import use_broker
from tests.factories.events import SourceFactory

pytestmark = pytest.mark.django_db(transaction=True)


class Redis:
    """A server of its own, without persistence."""

    def __init__(self, binary: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port)
        self.process = subprocess.Popen(
            [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self.answers)

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def nudges(self) -> int:
        return int(self.client.llen(current_app.conf.task_default_queue))

    def kill(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()


def wait_until(is_true: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def beat(broker: Redis) -> Iterator[subprocess.Popen[bytes]]:
    """Celery beat on the test's database and broker; no worker runs."""
    database = connection.settings_dict
    address = f"{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "config.settings.dev",
        "DATABASE_URL": f"postgresql://{address}/{database['NAME']}",
        "REDIS_URL": broker.url,
    }
    arguments = ["-m", "celery", "--quiet", "--app", "config", "beat", "--pidfile", ""]
    process = subprocess.Popen([sys.executable, *arguments], cwd=settings.BASE_DIR, env=environment)
    yield process
    process.terminate()
    process.wait(10)


@pytest.fixture
def broker() -> Iterator[Redis]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server).")
    server = Redis(binary)
    with use_broker(server.url):
        yield server
    server.kill()


def track(client: Any, source: Any) -> float:
    """Send one event; return how long the answer took, in seconds."""
    body = json.dumps({"event": "Product Viewed", "userId": "ada", "writeKey": source.secret_key})
    began = time.monotonic()
    response = client.post("/v1/track", body, content_type="application/json")
    assert response.status_code == 200
    return time.monotonic() - began


def test_an_accepted_event_nudges_a_worker_through_redis(client, broker):
    track(client, SourceFactory())

    wait_until(broker.nudges)

    assert broker.nudges() == 1


def test_without_redis_events_are_accepted_and_the_next_turn_processes_them(client, broker):
    source = SourceFactory()
    track(client, source)
    broker.kill()

    took = max(track(client, source) for _ in range(20))
    assert InboxEvent.objects.count() == 21

    core.tick(now=timezone.now())

    assert took < 1
    assert Event.objects.count() == 21
    assert client.get("/readyz").json()["broker"] != "ok"


def test_without_redis_beat_processes_what_came_in(client, broker, beat):
    source = SourceFactory()
    wait_until(broker.nudges)  # Beat runs, and nobody takes what it asks for.
    track(client, source)
    broker.kill()
    track(client, source)

    wait_until(lambda: Event.objects.count() == 2)

    assert not InboxEvent.objects.exists()
    assert beat.poll() is None


def test_beat_that_starts_without_redis_processes_too(client, broker, request):
    broker.kill()
    track(client, SourceFactory())

    request.getfixturevalue("beat")

    wait_until(Event.objects.exists)
