"""Before everything starts: database and broker answer, the tables and the demo are there."""

import io
import os
import sys
from urllib.parse import urlsplit

import django
import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, ProgrammingError, connection
from psycopg.errors import InsufficientPrivilege

from config import home
from config.home import HomeError
from config.options import OptionError

SECONDS_TO_CONNECT = 5
OLDEST_POSTGRES = 150000


class NotReady(Exception):
    """Something that the environment names does not work; the text says what to do."""


def prepare() -> None:
    _require_database()
    if settings.REDIS_URL:
        _require_redis()
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except ProgrammingError as problem:
        if isinstance(problem.__cause__, InsufficientPrivilege):
            raise NotReady(
                "The user of DATABASE_URL may not make tables in that database: let it own the"
                " database, or name another."
            ) from problem
        raise
    if settings.DEMO:
        call_command("seed_demo", stdout=io.StringIO())


def _require_database() -> None:
    connection.settings_dict["OPTIONS"]["connect_timeout"] = SECONDS_TO_CONNECT
    try:
        connection.ensure_connection()
    except OperationalError as problem:
        raise NotReady(_explain(str(problem).strip().split("\n")[0].rstrip("."))) from problem
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        found = int(cursor.fetchone()[0])
    if found < OLDEST_POSTGRES:
        raise NotReady(
            "The database of DATABASE_URL is too old: Cuepost needs PostgreSQL 15 or newer."
        )


def _explain(reason: str) -> str:
    if home.read_database_url(settings.CUEPOST_HOME) == settings.DATABASE_URL:
        data = settings.CUEPOST_HOME / "postgres"
        return f"The data in {data} is damaged ({reason}): move it aside to begin anew."
    return f"The database does not answer ({reason}): start it, or put DATABASE_URL right."


def _require_redis() -> None:
    try:
        redis.Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=SECONDS_TO_CONNECT,
            socket_timeout=SECONDS_TO_CONNECT,
        ).ping()
    except (redis.RedisError, ValueError) as problem:
        where = urlsplit(settings.REDIS_URL).hostname
        raise NotReady(
            f"Redis does not answer at {where} ({type(problem).__name__}): start it, put REDIS_URL"
            " right, or unset it to keep the queue in PostgreSQL."
        ) from problem


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    try:
        django.setup()
        prepare()
    except (ImproperlyConfigured, HomeError, OptionError, NotReady) as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
