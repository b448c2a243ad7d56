"""The whole product at work: event to hand-over, delayed steps, a burst, and memory at rest."""

import base64
import http.client
import json
import statistics
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import psutil
from django.db import connection

from apps.workflows import services as workflows
from benchmarks import servers
from benchmarks.ground import MAIL, PEOPLE, PRODUCT, Ground, address
from benchmarks.results import Result
from benchmarks.send import queue

PINGS = 100
SECONDS_BETWEEN_PINGS = 0.1
BURST = 2000
BROADCAST = 10_000
# Longer than it takes to send the pings: then nothing but the clock tells that a wait is over.
WAIT = 12
AT_ONCE = "Bench Ping"
LATER = "Bench Later"
STEPS: dict[str, list[dict[str, str]]] = {AT_ONCE: [], LATER: [{"wait": f"{WAIT} seconds"}]}
NOT_COMPARED = "–"


def run(laid: Ground) -> list[Result]:
    _install(datetime.now(UTC))
    with tempfile.TemporaryDirectory() as folder:
        log = Arrivals(Path(folder) / "sink.log")
        log.path.touch()
        with servers.smtp_sink(str(log.path)) as smtp_port, servers.product(smtp_port) as product:
            supervisor, port = product
            shop = Shop(port, laid.secret_key, log)
            shop.track([_ping(AT_ONCE, 0)])
            log.wait_for(1, seconds=30)
            time.sleep(5)
            return _measure(supervisor, shop)


def _install(now: datetime) -> None:
    """A workflow that writes at once, and one that waits a little."""
    for name, waits in STEPS.items():
        definition = {
            "key": name.lower().replace(" ", "-"),
            "name": name,
            "trigger": {"event": name},
            "entry_key": "properties.nonce",
            "re_entry": {"again": "always"},
            "steps": [*waits, {"send": MAIL}],
        }
        version = workflows.save_definition(source=definition, now=now)
        workflows.go_live(workflow=version.workflow, now=now)


def _measure(supervisor: psutil.Process, shop: "Shop") -> list[Result]:
    memory = servers.memory_mib(servers.family(supervisor)) + _postgres_mib()
    results = [
        _latency("event to hand-over, idle", shop.delays(AT_ONCE)),
        _lateness(shop.delays(LATER, planned=WAIT)),
        _burst(shop),
    ]
    # One worker is enough for pings to find the queue full until the last of them.
    queue(BROADCAST, now=datetime.now(UTC), priority=10, leave_out=set(map(address, range(PINGS))))
    results.append(
        _latency(f"event to hand-over, {BROADCAST:,} mails going out", shop.delays(AT_ONCE))
    )
    if not _is_broadcast_under_way():
        raise RuntimeError("The broadcast was over before the pings were.")
    results.append(
        _row("memory, idle, all processes", f"{memory:.0f} MiB", "< 600 MiB", memory < 600)
    )
    return results


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


class Shop:
    """Somebody who tells the product what people do."""

    def __init__(self, port: int, key: str, log: Arrivals) -> None:
        self.port = port
        token = base64.b64encode(f"{key}:".encode()).decode()
        self.headers = {"Content-Type": "application/json", "Authorization": f"Basic {token}"}
        self.log = log

    def track(self, messages: list[dict[str, object]]) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        client.request("POST", "/v1/batch", json.dumps({"batch": messages}), self.headers)
        answer = client.getresponse()
        answer.read()
        client.close()
        if answer.status != 200:
            raise RuntimeError(f"The tracking API answered {answer.status}.")

    def delays(self, name: str, planned: float = 0) -> list[float]:
        """Seconds from each request to its mail, less the planned ones; one person a ping."""
        before = len(self.log.read())
        began: dict[str, float] = {}
        for person in range(PINGS):
            began[address(person)] = time.monotonic()
            self.track([_ping(name, person)])
            time.sleep(SECONDS_BETWEEN_PINGS)
        arrived: dict[str, float] = {}
        deadline = time.monotonic() + 60
        while len(arrived) < PINGS and time.monotonic() < deadline:
            time.sleep(0.2)
            arrived = {who: at for at, who in self.log.read()[before:] if who in began}
        if len(arrived) < PINGS:
            raise TimeoutError(f"{len(arrived)} of {PINGS} mails came.")
        return [arrived[who] - at - planned for who, at in began.items()]


def _ping(name: str, person: int) -> dict[str, object]:
    return {
        "type": "track",
        "event": name,
        "userId": f"customer-{person}",
        "messageId": str(uuid.uuid4()),
        "properties": {"nonce": str(uuid.uuid4()), **PRODUCT},
    }


def _burst(shop: Shop) -> Result:
    """Each mail from the first request to the last arrival."""
    before = len(shop.log.read())
    began = time.monotonic()
    for start in range(0, BURST, 500):
        shop.track([_ping(AT_ONCE, number % PEOPLE) for number in range(start, start + 500)])
    arrived = shop.log.wait_for(before + BURST, seconds=120)
    rate = BURST / (max(at for at, _ in arrived[before:]) - began)
    return _row(f"burst of {BURST:,} triggers", f"{rate:.0f} mails/s", "≥ 500/s", rate >= 500)


def _latency(path: str, delays: list[float]) -> Result:
    median, p95 = _percentiles(delays)
    ours = f"p50 {median:.0f} ms, p95 {p95:.0f} ms"
    return _row(path, ours, "p50 < 90 ms, p95 < 300 ms", median < 90 and p95 < 300)


def _lateness(delays: list[float]) -> Result:
    median, p95 = _percentiles(delays)
    ours = f"p50 {median:.0f} ms, p95 {p95:.0f} ms"
    return _row("delayed step: how late", ours, "p95 < 1 s", p95 < 1000)


def _percentiles(delays: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(delays, n=20)
    return cuts[9] * 1000, cuts[18] * 1000


def _row(path: str, ours: str, budget: str, is_met: bool) -> Result:
    return Result(path, ours, NOT_COMPARED, NOT_COMPARED, budget, is_met)


def _is_broadcast_under_way() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM messaging_message"
            " WHERE status = 'queued' AND priority = 10)"
        )
        return bool(cursor.fetchone()[0])


def _postgres_mib() -> float:
    """The server process and its back-ends, wherever it was started; 0 on another machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    postmaster = psutil.Process(backend).parent()
    return servers.memory_mib(servers.family(postmaster)) if postmaster else 0.0
