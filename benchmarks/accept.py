"""Accept one event, durably: CPU per request of the tracking API against a bare view's."""

import base64
import http.client
import json
import threading
import time
import uuid

import psutil
from django.db import connection

from benchmarks import servers
from benchmarks.results import Result

REQUESTS = 4000
CLIENTS = 8


def event(number: int) -> dict[str, object]:
    """A Product Added as the official Segment clients send it, about 700 bytes."""
    return {
        "type": "track",
        "event": "Product Added",
        "userId": f"customer-{number % 500}",
        "messageId": str(uuid.uuid4()),
        "timestamp": "2026-11-24T10:00:00.000Z",
        "properties": {
            "cart_id": f"cart-{number % 500}",
            "product_id": f"sku-{number % 40}",
            "name": "House blend, 250 g",
            "price": 12.5,
            "quantity": 1,
            "currency": "EUR",
            "category": "Coffee",
            "url": "https://shop.example/products/house-blend",
            "image_url": "https://shop.example/images/house-blend.png",
        },
        "context": {
            "library": {"name": "benchmark", "version": "1"},
            "consent": {"categoryPreferences": {"tracking": True}},
        },
    }


def _post_all(port: int, bodies: list[bytes], headers: dict[str, str]) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for body in bodies:
        client.request("POST", "/v1/track", body, headers)
        answer = client.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"The server answered {answer.status}.")
    client.close()


def _load(process: psutil.Process, port: int, key: str) -> tuple[float, float]:
    """CPU seconds per request, and requests per second."""
    token = base64.b64encode(f"{key}:".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {token}"}
    bodies = [json.dumps(event(number)).encode() for number in range(REQUESTS)]
    _post_all(port, bodies[:200], headers)
    bodies = bodies[200:]
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
    return (servers.cpu_seconds(process) - cpu) / len(bodies), len(bodies) / wall


def run(secret_key: str) -> list[Result]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_inbox (LIKE events_inboxevent INCLUDING ALL)")
    with servers.granian("benchmarks.bare:application") as (process, port):
        bare_cpu, bare_rate = _load(process, port, secret_key)
    with servers.granian("config.wsgi:application") as (process, port):
        cpu, rate = _load(process, port, secret_key)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE bench_inbox")
    return [
        Result(
            path="accept one event, durable",
            ours=f"{cpu * 1000:.2f} ms CPU, {rate:.0f}/s",
            bare=f"{bare_cpu * 1000:.2f} ms CPU, {bare_rate:.0f}/s",
            ratio=f"{cpu / bare_cpu:.2f}×",
            budget="≤ 2× CPU",
            is_met=cpu <= 2 * bare_cpu,
        )
    ]
