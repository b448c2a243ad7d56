"""The whole product at work: event to hand-over, delayed steps, a burst, and memory at rest."""

import base64
import http.client
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
from django.db import connection

from apps.workflows import services as workflows
from benchmarks import servers
from benchmarks.process import PEOPLE
from benchmarks.results import Result
from benchmarks.send import MAILS, queue

PINGS = 100
BURST = 2000
STEPS = {"Bench Ping": [], "Bench Later": [{"wait": "3 seconds"}]}


def _install(template_key: str, now: datetime) -> None:
    for name, waits in STEPS.items():
        key = name.lower().replace(" ", "-")
        definition = {
            "key": key,
            "name": name,
            "trigger": {"event": name},
            "entry_key": "properties.nonce",
            "re_entry": {"again": "always"},
            "steps": [*waits, {"send": template_key}],
        }
        workflows.save_definition(definition, now=now)
        workflows.go_live(key=key, now=now)


def _track(client: http.client.HTTPConnection, key: str, messages: list[dict[str, object]]) -> None:
    token = base64.b64encode(f"{key}:".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {token}"}
    client.request("POST", "/v1/batch", json.dumps({"batch": messages}), headers)
    answer = client.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"The tracking API answered {answer.status}.")


def _ping(name: str, person: int) -> dict[str, object]:
    return {
        "type": "track",
        "event": name,
        "userId": f"customer-{person}",
        "messageId": str(uuid.uuid4()),
        "properties": {"nonce": str(uuid.uuid4())},
    }


class Arrivals:
    """The sink's log: who got a mail at which monotonic second."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[tuple[float, str]]:
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return [(float(line[0]), line[1]) for line in lines if len(line) == 2]

    def wait_for(self, count: int, *, seconds: float) -> list[tuple[float, str]]:
        deadline = time.monotonic() + seconds
        while len(arrived := self.read()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(arrived)} of {count} mails came within {seconds} s.")
            time.sleep(0.1)
        return arrived


def _delays(
    client: http.client.HTTPConnection, key: str, log: Arrivals, name: str, wait: float
) -> list[float]:
    """Seconds from each request to its mail, less the planned wait; one person a ping."""
    before = len(log.read())
    began: dict[str, float] = {}
    for person in range(PINGS):
        began[f"customer-{person}@example.com"] = time.monotonic()
        _track(client, key, [_ping(name, person)])
        time.sleep(0.1)
    arrived: dict[str, float] = {}
    deadline = time.monotonic() + 60
    while len(arrived) < PINGS and time.monotonic() < deadline:
        time.sleep(0.2)
        arrived = {
            who: at for at, who in log.read()[before:] if who in began and at - began[who] >= 0
        }
    if len(arrived) < PINGS:
        raise TimeoutError(f"{len(arrived)} of {PINGS} mails came.")
    return [arrived[who] - at - wait for who, at in began.items()]


def _percentiles(delays: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(delays, n=20)
    return cuts[9] * 1000, cuts[18] * 1000


def _row(
    path: str, delays: list[float], budget: str, is_met: Callable[[float, float], bool]
) -> Result:
    median, p95 = _percentiles(delays)
    return Result(
        path=path,
        ours=f"p50 {median:.0f} ms, p95 {p95:.0f} ms",
        bare="–",
        ratio="–",
        budget=budget,
        is_met=is_met(median, p95),
    )


def _burst(client: http.client.HTTPConnection, key: str, log: Arrivals) -> Result:
    before = len(log.read())
    began = time.monotonic()
    for start in range(0, BURST, 500):
        _track(client, key, [_ping("Bench Ping", n % PEOPLE) for n in range(start, start + 500)])
    arrived = log.wait_for(before + BURST, seconds=120)
    rate = BURST / (max(at for at, _ in arrived[before:]) - began)
    return Result(
        path=f"burst of {BURST:,} triggers",
        ours=f"{rate:.0f} mails/s",
        bare="–",
        ratio="–",
        budget="≥ 500/s",
        is_met=rate >= 500,
    )


def _measure(
    supervisor: psutil.Process, port: int, key: str, template: str, log: Arrivals
) -> list[Result]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    _track(client, key, [_ping("Bench Ping", 0)])
    log.wait_for(1, seconds=30)
    time.sleep(3)
    memory = servers.memory_mib(servers.family(supervisor)) + _postgres_mib()
    results = [
        _row(
            "event to hand-over, idle",
            _delays(client, key, log, "Bench Ping", 0),
            "p50 < 90 ms, p95 < 300 ms",
            lambda median, p95: median < 90 and p95 < 300,
        ),
        _row(
            "delayed step: how late",
            _delays(client, key, log, "Bench Later", 3),
            "p95 < 1 s",
            lambda _, p95: p95 < 1000,
        ),
        _burst(client, key, log),
    ]
    queue(template, datetime.now(UTC), priority=10)
    results.append(
        _row(
            f"event to hand-over while {MAILS:,} mails go out",
            _delays(client, key, log, "Bench Ping", 0),
            "p50 < 90 ms, p95 < 300 ms",
            lambda median, p95: median < 90 and p95 < 300,
        )
    )
    results.append(
        Result(
            "memory, idle, all processes", f"{memory:.0f} MiB", "–", "–", "< 600 MiB", memory < 600
        )
    )
    return results


def _postgres_mib() -> float:
    """The server process and its back-ends, wherever it was started."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    postmaster = backend.parent()
    return servers.memory_mib(servers.family(postmaster)) if postmaster else 0.0


def run(secret_key: str, template_key: str) -> list[Result]:
    _install(template_key, datetime.now(UTC))
    port = servers.free_port()
    with tempfile.TemporaryDirectory() as home:
        log = Arrivals(Path(home) / "sink.log")
        log.path.touch()
        with servers.smtp_sink(str(log.path)) as smtp_port:
            environment = {
                "CUEPOST_HOME": home,
                "DEMO": "0",
                "PORT": str(port),
                "EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}",
                "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
            }
            with servers.running(["manage", "run_local"], **environment) as supervisor:
                servers.wait_for_port(port, seconds=60)
                return _measure(supervisor, port, secret_key, template_key, log)
