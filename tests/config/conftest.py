"""Servers that are somebody else's, for an installation that is told to use them."""

import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from psycopg import sql

from config.postgres import free_port


@pytest.fixture
def database_url(django_db_setup: None) -> Iterator[str]:
    """A database with all tables, on the server of the tests."""
    name = f"run_{secrets.token_hex(4)}"
    target = sql.Identifier(name)
    template = sql.Identifier(connection.settings_dict["NAME"])
    # Only one that nobody is connected to can be copied.
    connections.close_all()
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(target, template))
        yield urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}"))
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(target))


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed (apt-get install redis-server).")
    port = free_port()
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    time.sleep(0.3)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait()
