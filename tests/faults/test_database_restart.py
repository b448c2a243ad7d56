"""PostgreSQL dies under load: what was acknowledged is there, and is processed once."""

import base64
import http.client
import json
import threading
import time
from itertools import count

import pytest

from tests.faults.installation import Installation

CLIENTS = 4


class Load:
    """Clients that send events without a pause, and remember which were acknowledged."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        token = base64.b64encode(f"{key}:".encode()).decode()
        self.headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self.acknowledged: set[str] = set()
        self.statuses: set[int] = set()
        self.is_over = threading.Event()
        self.threads = [
            threading.Thread(target=self.send_all, args=(number,)) for number in range(CLIENTS)
        ]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join(30)

    def send_all(self, client: int) -> None:
        for number in count():
            if self.is_over.is_set():
                return
            self.send(f"load-{client}-{number}")

    def send(self, message_id: str) -> None:
        message = {"event": "Product Viewed", "userId": "ada", "messageId": message_id}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/v1/track", json.dumps(message), self.headers)
            status = connection.getresponse().status
        except OSError:
            return
        finally:
            connection.close()
        self.statuses.add(status)
        if status == 200:
            self.acknowledged.add(message_id)

    def wait_for(self, more: int) -> None:
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + 30
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, "the server takes no events any more"
            time.sleep(0.05)


@pytest.fixture
def load(installation: Installation) -> Load:
    key = installation.manage(
        "shell",
        "--verbosity=0",
        "-c",
        "from django.utils import timezone; from apps.events import services; "
        "print(services.create_source(name='Load', now=timezone.now())[1])",
    ).strip()
    return Load(installation.serve(), key)


def test_every_acknowledged_event_survives_two_deaths_of_the_database(installation, load):
    with load:
        load.wait_for(100)
        for _ in range(2):
            installation.server.kill()
            time.sleep(0.3)
            installation.start_database()
            load.wait_for(100)

    waiting = {name for (name,) in installation.query("SELECT message_id FROM events_inboxevent")}
    assert load.acknowledged <= waiting
    assert load.statuses == {200, 503}

    while "events: 0" not in installation.manage("tick"):
        pass

    (stored,) = installation.query(
        "SELECT array_agg(message_id), count(DISTINCT message_id) FROM events_event"
    )
    assert load.acknowledged <= set(stored[0])
    assert len(stored[0]) == stored[1]
