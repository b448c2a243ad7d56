"""`make run`: PostgreSQL, web, worker and beat under one roof, until Ctrl-C.

`manage.py run_local` becomes this process. It loads no Django: it only starts, watches, passes on
what its children write, starts again what dies, and stops everything in order.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

from config import home
from config.footing import PostgresError
from config.home import HomeError
from config.lifeline import held_by_parent
from config.options import BASE_DIR, OptionError, Options, read_options, require_free_port
from config.postgres import Server
from config.processes import Process, programs
from config.welcome import is_answering, welcome

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_QUESTIONS = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(BaseException):
    """Somebody wants everything to end."""


class Refused(Exception):
    """What has to be there before the start is not; it has been said already."""


class Supervisor:
    def __init__(self, options: Options, server: Server | None) -> None:
        self.options = options
        self.server = server
        self.processes: list[Process] = []
        self.watched = selectors.DefaultSelector()
        self.stops = 0
        self.is_welcomed = False
        self.asks_at = 0.0

    def run(self) -> None:
        """Start everything and watch over it; returns only by an exception."""
        environment = self.options.environment()
        if self.server:
            environment["DATABASE_URL"] = self.server.start()
            home.write_private(self.options.home / home.DATABASE_FILE, environment["DATABASE_URL"])
        home.write_private(self.options.home / home.BASE_URL_FILE, self.options.base_url)
        self._prepare(environment)
        for program in programs(self.options):
            process = Process(program, environment, _speaker(program.name))
            self.processes.append(process)
            self._start(process)
        self._watch()

    def end(self) -> None:
        """Web, beat, worker, PostgreSQL; another Ctrl-C doesn't wait for the first three."""
        self.stops = max(self.stops, 1)
        began = time.monotonic()
        for process in self.processes:
            process.ask_to_end()
        for process in self.processes:
            process.end(began + process.program.seconds_to_stop, is_hurried=lambda: self.stops > 1)
        if self.server:
            self.server.stop()
        for name in (home.DATABASE_FILE, home.BASE_URL_FILE):
            (self.options.home / name).unlink(missing_ok=True)

    def handle_signal(self, number: int, frame: FrameType | None) -> None:
        self.stops += 1
        if self.stops == 1:
            raise Stop

    def _prepare(self, environment: dict[str, str]) -> None:
        """Tables, demo and a look at what the environment named, in a process of their own."""
        preparing = subprocess.Popen(
            [sys.executable, "-m", "config.prepare"],
            cwd=BASE_DIR,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=held_by_parent(),
        )
        try:
            if preparing.wait() != 0:
                raise Refused
        finally:
            preparing.kill()
            preparing.wait()

    def _start(self, process: Process) -> None:
        self.watched.register(process.start(), selectors.EVENT_READ, process)

    def _watch(self) -> None:
        while True:
            pause = SECONDS_BETWEEN_LOOKS if self.is_welcomed else SECONDS_BETWEEN_QUESTIONS
            for key, _ in self.watched.select(pause):
                key.data.pass_on_output()
            self._revive()
            if not self.is_welcomed and time.monotonic() >= self.asks_at:
                self._ask()

    def _ask(self) -> None:
        """Welcome the owner as soon as everything answers."""
        self.asks_at = time.monotonic() + SECONDS_BETWEEN_QUESTIONS
        self.is_welcomed = is_answering(self.options)
        if self.is_welcomed:
            say(welcome(self.options))

    def _revive(self) -> None:
        if self.server and not self.server.is_running():
            say("database  ended by itself; it is started again.")
            self.server.start()
        now = time.monotonic()
        for process in self.processes:
            if process.output and process.is_over():
                self.watched.unregister(process.output)
                process.bury()
            if not process.output and process.starts_at <= now:
                self._start(process)


def say(text: str) -> None:
    """To the terminal; one that has been closed is no reason to leave children behind."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _speaker(name: str) -> Callable[[str], None]:
    return lambda line: say(f"{name:<8}  {line}")


def main() -> None:
    try:
        options = read_options(os.environ)
        with home.lock(options.home):
            require_free_port(options)
            _run(options)
    except (OptionError, HomeError, PostgresError) as problem:
        sys.exit(str(problem))


def _run(options: Options) -> None:
    server = None if options.database_url else Server(options.home / "postgres")
    supervisor = Supervisor(options, server)
    for number in STOP_SIGNALS:
        # nohup wants it to outlive its terminal.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, supervisor.handle_signal)
    try:
        supervisor.run()
    except Stop:
        say("\nStopping.")
    except Refused:
        sys.exit(1)
    finally:
        supervisor.end()


if __name__ == "__main__":
    main()
