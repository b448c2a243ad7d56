"""`make run` from the first start to the last: nothing survives it, and nothing is lost."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from config.postgres import free_port
from tests.config.installation import Installation, living


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cuepost-run-"))
    folder.chmod(0o711)
    yield folder / "var"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def installation(home) -> Iterator[Installation]:
    """Its data is made by the first test; the later ones find it as it was left."""
    installation = Installation(home, free_port())
    yield installation
    if installation.process and installation.process.poll() is None:
        installation.stop(signal.SIGTERM)


def named(supervisor, word):
    return next(child for child in supervisor.children() if word in child.cmdline())


def test_it_runs_as_it_says_and_refuses_a_second_one(installation):
    installation.start()
    notes = installation.notes()
    said = installation.log.read_text()

    assert installation.get("/readyz")[0] == 200
    assert installation.get("/demo/")[0] == 200
    assert installation.get("/static/unfold/css/styles.css")[0] == 200
    assert notes["base_url"] == f"http://127.0.0.1:{installation.port}"
    for promised in (f"{notes['base_url']}/demo/", f"{notes['base_url']}/admin/", "Ctrl-C"):
        assert promised in said
    for key in ("admin_username", "admin_password", "public_key", "secret_key", "outbox"):
        assert notes[key] in said

    assert installation.refuse() == (
        1,
        f"Cuepost runs already on {installation.home}: stop it first, or set CUEPOST_HOME to"
        " another folder.",
    )
    other = str(installation.home.with_name("other"))
    code, sentence = installation.refuse(CUEPOST_HOME=other)
    assert (code, sentence.split(" on ")[0]) == (1, f"Port {installation.port}")


def test_when_it_is_killed_nothing_survives_it(installation):
    everybody = psutil.Process(installation.process.pid).children(recursive=True)
    assert len(everybody) > 8

    assert installation.stop(signal.SIGKILL) == -signal.SIGKILL

    assert living(everybody) == []


def test_it_starts_again_with_its_data_and_revives_what_dies(installation):
    notes = installation.notes()
    supervisor = installation.start()
    database, worker = named(supervisor, "-D"), named(supervisor, "worker")

    database.kill()
    installation.wait_for("database  ended by itself; it is started again.")
    worker.kill()
    installation.wait_for("worker    ended by itself (killed by SIGKILL)")

    _wait_for_another(supervisor, worker)
    assert installation.get("/readyz")[0] == 200
    assert installation.notes() == notes


def test_ctrl_c_leaves_nothing(installation):
    everybody = psutil.Process(installation.process.pid).children(recursive=True)

    assert installation.stop(signal.SIGINT) == 0

    assert living(everybody, seconds=1) == []
    assert not (installation.home / "database-url").exists()


def _wait_for_another(supervisor: psutil.Process, worker: psutil.Process) -> None:
    psutil.wait_procs([worker], timeout=10)
    for _ in range(200):
        found = [child for child in supervisor.children() if "worker" in child.cmdline()]
        if found and found[0].pid != worker.pid:
            return
        psutil.wait_procs([supervisor], timeout=0.1)
    pytest.fail("No other worker was started.")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"PORT": "abc"}, "PORT must be a number from 1 to 65535, not 'abc'."),
        ({"CUEPOST_HOME": "/proc/cuepost"}, "/proc/cuepost can't be used"),
        (
            {"DATABASE_URL": "postgres://user:secret@127.0.0.1:1/name"},
            "The database does not answer (connection failed: connection to server at"
            ' "127.0.0.1", port 1 failed: Connection refused): start it',
        ),
        (
            {"REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": settings.DATABASE_URL},
            "Redis does not answer at 127.0.0.1 (ConnectionError): start it",
        ),
    ],
)
def test_a_bad_setting_ends_with_one_sentence(tmp_path, changes, sentence):
    code, said = Installation(tmp_path / "var", free_port(), DEMO="0").refuse(**changes)

    assert code == 1
    assert said.startswith(sentence)
    assert "\n" not in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"BASE_URL": "shop.example"}, "BASE_URL must be the address of this installation"),
        ({"CUEPOST_HOME": "/proc/cuepost"}, "/proc/cuepost can't be used"),
        ({"HOST": "nowhere.invalid"}, "HOST must be an address of this machine"),
    ],
)
def test_the_command_says_the_same(tmp_path, changes, sentence):
    installation = Installation(tmp_path / "var", free_port())

    code, said = installation.refuse("manage.py", "run_local", **changes)

    assert code == 1
    assert said.startswith(sentence)
    assert "\n" not in said


def test_with_a_database_and_a_redis_it_starts_neither(tmp_path, redis_url, database_url):
    installation = Installation(
        tmp_path / "var", free_port(), DEMO="0", DATABASE_URL=database_url, REDIS_URL=redis_url
    )
    supervisor = installation.start()
    names = {child.cmdline()[2] for child in supervisor.children()}

    assert names == {"granian", "celery"}
    assert installation.get("/readyz")[0] == 200
    assert installation.stop(signal.SIGTERM) == 0
    assert not (tmp_path / "var" / "postgres").exists()
