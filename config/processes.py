"""The processes of the product: what they are called with, and how one is started and ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from config.lifeline import SUPERVISED, held_by_parent
from config.options import BASE_DIR, Options

# Requests wait for the database more than for the processor; a thread holds one connection.
WEB_THREADS = min(8, 2 * (os.cpu_count() or 1) + 1)
# One for what is due, one for what comes in meanwhile. Processes rather than threads: rendering
# has a time limit that only a main thread can keep.
WORKER_PROCESSES = 2
# On one's own machine root is no surprise, and the settings have been checked already.
QUIET = {
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    "CELERY_SKIP_CHECKS": "1",
}
# A process that ran this long before it died was well; its next death counts as the first.
SECONDS_TO_BE_WELL = 60.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
MAX_LINE = 65_536

Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """One long-running program, and how long it may take to end when it is asked to."""

    name: str
    arguments: list[str]
    seconds_to_stop: float


def programs(options: Options) -> list[Program]:
    """In the order in which they are stopped: first what makes work, then what does it."""
    celery = ["celery", "--quiet", "--app", "config"]
    web = ["granian", "--interface", "wsgi", "--host", options.host, "--port", str(options.port)]
    web += ["--workers", "1", "--blocking-threads", str(WEB_THREADS)]
    # Without it an early SIGTERM hangs it now and then.
    web += ["--workers-kill-timeout", "3", "--log-level", "warning", "--no-ws"]
    worker = [*celery, "worker", "--concurrency", str(WORKER_PROCESSES), "--loglevel", "WARNING"]
    worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    # Its timetable is in the database; it needs no files.
    beat = [*celery, "beat", "--pidfile", "", "--loglevel", "WARNING"]
    return [
        Program("web", [*web, "config.wsgi:application"], seconds_to_stop=5),
        Program("beat", beat, seconds_to_stop=3),
        Program("worker", worker, seconds_to_stop=6),
    ]


class Process:
    """One program as it runs, dies, is started again, and ends."""

    def __init__(self, program: Program, environment: Mapping[str, str], say: Say) -> None:
        self.program = program
        self.environment = {**QUIET, **os.environ, **environment, SUPERVISED: "1"}
        self.say = say
        self.starts_at = 0.0
        self._popen: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause = FIRST_PAUSE
        self._rest = b""

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def output(self) -> IO[bytes] | None:
        return self._popen.stdout if self._popen else None

    def start(self) -> IO[bytes]:
        """Start it in a session of its own and return its output, for whoever watches it."""
        self._popen = subprocess.Popen(  # noqa: S603 -- our own arguments
            [sys.executable, "-m", *self.program.arguments],
            cwd=BASE_DIR,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=held_by_parent(),
        )
        assert self._popen.stdout is not None  # noqa: S101 -- it is a pipe
        os.set_blocking(self._popen.stdout.fileno(), False)
        self._started_at = time.monotonic()
        return self._popen.stdout

    def pass_on_output(self) -> None:
        """Say what it has written, line by line."""
        if self.output is None:
            return
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.output.fileno(), MAX_LINE):
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    self._pass_on(line)
                if len(self._rest) > MAX_LINE:
                    self._pass_on(self._rest)
                    self._rest = b""

    def is_over(self) -> bool:
        """Whether it has ended by itself."""
        return self._popen is not None and self._popen.poll() is not None

    def bury(self) -> None:
        """Clear away what is left of one that died, and set its next start."""
        code = self._clear_away()
        if time.monotonic() - self._started_at > SECONDS_TO_BE_WELL:
            self._pause = FIRST_PAUSE
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self.say(f"ended by itself ({how}); it is started again in {self._pause:g} s.")
        self.starts_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def ask_to_end(self) -> None:
        """Its main process only: the whole group at once can deadlock a Celery worker."""
        if self._popen is not None:
            self._popen.terminate()

    def end(self, deadline: float, *, is_hurried: Callable[[], bool]) -> None:
        """Wait until it has ended, and make it end when its time is over or somebody hurries."""
        if self._popen is None:
            return
        while not self.is_over() and time.monotonic() < deadline and not is_hurried():
            self.pass_on_output()
            time.sleep(0.02)
        self._clear_away()

    def _clear_away(self) -> int:
        """Kill what is left of its session, take its last words, and return its exit code."""
        assert self._popen is not None  # noqa: S101 -- the callers have looked
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        code = self._popen.wait()
        self.pass_on_output()
        if self._rest:
            self._pass_on(self._rest)
        self._rest = b""
        if self._popen.stdout:
            self._popen.stdout.close()
        self._popen = None
        return code

    def _pass_on(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.say(text)
