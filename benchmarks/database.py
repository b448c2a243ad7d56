"""A database of its own for one run of the benchmarks, and the environment that leads to it.

Knows nothing of Django: the settings read the environment only after this.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.postgres import Server


@contextmanager
def prepared() -> Iterator[None]:
    """Set the environment of an installation with an empty database; remove both in the end."""
    home = Path(tempfile.mkdtemp(prefix="cuepost-bench-"))
    # The server of root's installation runs as somebody else, who has to get through.
    home.chmod(0o711)
    try:
        with _server(home) as server_url, _database(server_url) as url:
            os.environ |= {
                "DATABASE_URL": url,
                "CUEPOST_HOME": str(home),
                "DEMO": "0",
                "LOG_LEVEL": "WARNING",
            }
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
            yield
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _server(home: Path) -> Iterator[str]:
    """The server that DATABASE_URL names, or the one of `make run`, with its settings."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    server = Server(home / "postgres")
    url = server.start()
    try:
        yield url
    finally:
        server.stop()


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    name = f"cuepost_bench_{secrets.token_hex(4)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)
