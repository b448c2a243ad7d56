"""Processes that a benchmark starts, watches and stops."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from config.lifeline import held_by_parent

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"Nothing answers on port {port}.")


@contextmanager
def running(arguments: list[str], **environment: str) -> Iterator[psutil.Process]:
    """Run `python -m …` in its own session until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environment},
        cwd=ROOT,
        start_new_session=True,
        # Ends with us, whatever happens to us.
        preexec_fn=held_by_parent(signal.SIGTERM),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def granian(target: str, **environment: str) -> Iterator[tuple[psutil.Process, int]]:
    """Serve a WSGI application with one worker process, as the product does."""
    port = free_port()
    arguments = ["granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--workers", "1", "--blocking-threads", "8", "--workers-kill-timeout", "5"]
    with running([*arguments, "--no-access-log", target], **environment) as process:
        wait_for_port(port)
        yield process, port


@contextmanager
def product(smtp_port: int) -> Iterator[tuple[psutil.Process, int]]:
    """Everything that `make run` starts, with mails going to that server."""
    port = free_port()
    environment = {"PORT": str(port), "EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}"}
    with running(["manage", "run_local"], **environment) as supervisor:
        wait_for_port(port, seconds=60)
        yield supervisor, port


@contextmanager
def smtp_sink(log: str = "") -> Iterator[int]:
    port = free_port()
    with running(["benchmarks.sink", str(port), *([log] if log else [])]):
        wait_for_port(port)
        yield port


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process and its children, in seconds."""
    return sum(sum(member.cpu_times()[:2]) for member in family(process))


def memory_mib(processes: list[psutil.Process]) -> float:
    """Proportional set size: shared pages are counted once."""
    return float(sum(member.memory_full_info().pss for member in processes) / 2**20)
