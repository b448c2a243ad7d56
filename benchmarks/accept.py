"""Accept one event, durably: CPU per request of the tracking API against a bare view's."""

import base64
import http.client
import json
import statistics
import threading
import time
import uuid

import psutil
from django.db import connection

from benchmarks import servers
from benchmarks.ground import PRODUCT, Ground
from benchmarks.results import Result

ROUNDS = 5
REQUESTS = 1500
WARM_UP = 300
CLIENTS = 8


def run(ground: Ground) -> list[Result]:
    """Both servers stand at once and are loaded in turns, so that both meet the same machine."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_inbox (LIKE events_inboxevent INCLUDING ALL)")
    with (
        servers.granian("benchmarks.bare:application") as bare,
        servers.granian("config.wsgi:application") as ours,
    ):
        for server in (bare, ours):
            _load(*server, ground.secret_key, WARM_UP)
        rounds = [
            (
                _load(*ours, ground.secret_key, REQUESTS),
                _load(*bare, ground.secret_key, REQUESTS),
            )
            for _ in range(ROUNDS)
        ]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE bench_inbox")
    ratio = statistics.median(ours[0] / bare[0] for ours, bare in rounds)
    return [
        Result(
            path="accept one event, durable",
            ours=_told([ours for ours, _ in rounds]),
            bare=_told([bare for _, bare in rounds]),
            ratio=f"{ratio:.2f}×",
            budget="≤ 2× CPU",
            is_met=ratio <= 2,
        )
    ]


def event(number: int) -> dict[str, object]:
    """A Product Added as the official Segment clients send it, about 700 bytes."""
    return {
        "type": "track",
        "event": "Product Added",
        "userId": f"customer-{number % 500}",
        "messageId": str(uuid.uuid4()),
        "timestamp": "2026-11-24T10:00:00.000Z",
        "properties": {"cart_id": f"cart-{number % 500}", **PRODUCT},
        "context": {
            "library": {"name": "benchmark", "version": "1"},
            "consent": {"categoryPreferences": {"tracking": True}},
        },
    }


def _load(process: psutil.Process, port: int, key: str, count: int) -> tuple[float, float]:
    """CPU seconds per request, and requests per second."""
    token = base64.b64encode(f"{key}:".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {token}"}
    bodies = [json.dumps(event(number)).encode() for number in range(count)]
    threads = [
        threading.Thread(target=_post_all, args=(port, bodies[start::CLIENTS], headers))
        for start in range(CLIENTS)
    ]
    cpu, began = servers.cpu_seconds(process), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.monotonic() - began
    return (servers.cpu_seconds(process) - cpu) / count, count / wall


def _post_all(port: int, bodies: list[bytes], headers: dict[str, str]) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for body in bodies:
        client.request("POST", "/v1/track", body, headers)
        answer = client.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"The server answered {answer.status}.")
    client.close()


def _told(rounds: list[tuple[float, float]]) -> str:
    cpu, rate = (statistics.median(values) for values in zip(*rounds, strict=True))
    return f"{cpu * 1000:.2f} ms CPU, {rate:.0f}/s"
