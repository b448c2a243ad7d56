"""The embedded PostgreSQL starts over anything but damaged data, and ends with its starter."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from config import footing
from config.postgres import PostgresError, Server
from tests.postgres import FAST

IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that root's server gets into, too; pytest's own is for its owner only."""
    folder = Path(tempfile.mkdtemp(prefix="cuepost-launcher-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(place: Path) -> Iterator[Server]:
    """One whose data was made by the first test that asked."""
    server = Server(place / "postgres", options=FAST)
    yield server
    server.stop()


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(question)
        return cursor.fetchone()[0] if cursor.description else None


def run_and_die(folder: Path) -> subprocess.Popen[bytes]:
    """Start a server from a process that is then killed."""
    program = (
        "import sys, time; from pathlib import Path; from config.postgres import Server;"
        "server = Server(Path(sys.argv[1]), options={'fsync': 'off'}); server.start();"
        "print(server.process.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
    )
    pid = int(starter.stdout.readline())
    starter.kill()
    starter.communicate()
    return pid


def is_there(pid: int) -> bool:
    try:
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_data_is_kept_from_start_to_start(server):
    ask(server.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()

    assert ask(server.start(), "SELECT answer FROM kept") == 42


def test_a_password_is_asked_for(server):
    url = server.start()

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(url.replace(":", ":x", 2).replace("postgres:x", "postgres:", 1), "SELECT 1")


def test_a_killed_server_recovers(server):
    url = server.start()
    ask(url, "CREATE TABLE IF NOT EXISTS survivor AS SELECT 1 AS one")
    ask(url, "CHECKPOINT")
    server.kill()

    assert ask(server.start(), "SELECT one FROM survivor") == 1


def test_a_server_ends_with_a_starter_that_is_killed(server):
    server.start()
    server.stop()

    pid = run_and_die(server.folder)

    deadline = time.monotonic() + 10
    while is_there(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(pid)
    assert ask(server.start(), "SELECT 1") == 1


def test_a_server_that_was_left_running_gives_way(server):
    leftover = Server(server.folder, options=FAST)
    leftover.start()

    assert ask(server.start(), "SELECT 1") == 1
    assert not leftover.is_running()


def test_a_number_that_has_gone_to_a_stranger_is_no_server(server):
    server.start()
    server.kill()
    lock = server.folder / "data" / "postmaster.pid"
    _, rest = lock.read_text().split("\n", 1)
    stranger = subprocess.Popen(["sleep", "60"], user="nobody" if IS_ROOT else None)
    lock.write_text(f"{stranger.pid}\n{rest}")

    assert ask(server.start(), "SELECT 1") == 1
    stranger.kill()
    stranger.wait()


def test_half_made_data_is_made_anew(place):
    half = place / "half" / "data.1.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    server = Server(place / "half", options=FAST)

    assert ask(server.start(), "SELECT 1") == 1
    assert not half.exists()
    server.stop()


def test_damaged_data_is_told_in_one_sentence(server, place):
    server.start()
    server.stop()
    damaged = place / "damaged"
    shutil.copytree(server.folder, damaged)
    for path in [damaged, *damaged.rglob("*")]:
        shutil.copystat(server.folder / path.relative_to(damaged), path)
        owner = (server.folder / path.relative_to(damaged)).stat()
        os.chown(path, owner.st_uid, owner.st_gid)
    (damaged / "data" / "global" / "pg_control").unlink()

    with pytest.raises(PostgresError, match=r"pg_control.*move it aside to begin anew\.$"):
        Server(damaged, options=FAST).start()


def test_a_folder_in_a_file_is_told_in_one_sentence(place):
    (place / "file").touch()

    with pytest.raises(PostgresError, match="set CUEPOST_HOME to another folder"):
        Server(place / "file" / "postgres").start()


@pytest.mark.skipif(not IS_ROOT, reason="Only root's server runs as somebody else.")
def test_roots_server_lives_elsewhere_where_nobody_gets_in(place, monkeypatch):
    monkeypatch.setattr(footing, "SHARED", place / "shared")
    private = place / "private"
    private.mkdir(mode=0o700)
    server = Server(private / "postgres", options=FAST)

    ask(server.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    again = Server(private / "postgres", options=FAST)

    assert ask(again.start(), "SELECT answer FROM kept") == 42
    again.stop()
    assert [path.name for path in (private / "postgres").iterdir()] == [footing.ELSEWHERE]
    assert len(list((place / "shared").glob("data-*"))) == 1


@pytest.mark.skipif(not IS_ROOT, reason="Only root's server runs as somebody else.")
def test_roots_server_runs_a_copy_of_programs_that_nobody_can_reach(place, monkeypatch):
    monkeypatch.setattr(footing, "SHARED", place / "shared")
    monkeypatch.setattr(footing, "_can", lambda command, user: "--version" not in command)

    programs = footing.find_footing(place / "copied").programs

    assert programs.is_relative_to(place / "shared")
    command = [programs / "postgres", "--version"]
    found = subprocess.run(command, user="nobody", capture_output=True, text=True, check=True)
    assert "PostgreSQL" in found.stdout


def test_interrupted_start_leaves_no_process(place):
    program = (
        "import sys; from pathlib import Path; from config.postgres import Server;"
        "Server(Path(sys.argv[1])).start()"
    )
    folder = place / "interrupted"
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=settings.BASE_DIR,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while not list(folder.glob("data.*.new/base")) and time.monotonic() < deadline:
        time.sleep(0.01)
    starter.send_signal(signal.SIGINT)
    starter.wait()

    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(folder) not in found.stdout
