"""The PostgreSQL that tests run on, started before Django reads its settings.

Loaded with `-p`; with pytest-xdist only the main process starts a server, for all workers. With
DATABASE_URL set, that one is used.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.postgres import Server

# What a test writes need not survive a crash.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

_started: list[tuple[Server, Path]] = []


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    if "DATABASE_URL" not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="cuepost-tests-"))
        server = Server(folder / "postgres", options=FAST)
        folder.chmod(0o711)
        os.environ["DATABASE_URL"] = server.start()
        _started.append((server, folder))
        atexit.register(pytest_unconfigure)
    return (yield)


def pytest_unconfigure() -> None:
    while _started:
        server, folder = _started.pop()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
