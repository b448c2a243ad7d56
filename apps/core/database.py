"""How values get into and out of PostgreSQL, where the usual way is slow."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from psycopg.abc import Buffer
from psycopg.types.datetime import TimestamptzLoader


class InstantLoader(TimestamptzLoader):
    """Reads an instant as PostgreSQL writes it for a session in UTC.

    The loader that Django registers takes five times as long; a batch of a worker reads thousands.
    """

    # Asked for by Django.
    timezone = UTC

    def load(self, data: Buffer) -> datetime:
        try:
            return datetime.fromisoformat(str(data, "ascii"))
        except ValueError:
            # Infinity, or a year before Christ: it says what is wrong.
            return super().load(data)


def prepare_connection(*, connection: Any, **_: Any) -> None:
    """Connected to Django's signal of a new connection."""
    if connection.vendor == "postgresql" and connection.timezone is UTC:
        connection.connection.adapters.register_loader("timestamptz", InstantLoader)


def text_array(texts: Iterable[str]) -> str:
    """PostgreSQL's notation of a text[]; psycopg needs seven times as long for a list."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join([f'"{text}"' for text in quoted]) + "}"


def number_array(numbers: Iterable[int | None]) -> str:
    """The same of a bigint[]."""
    return "{" + ",".join(["NULL" if one is None else str(one) for one in numbers]) + "}"


def instant_array(instants: Iterable[datetime | None]) -> str:
    """The same of a timestamptz[]."""
    return (
        "{" + ",".join(["NULL" if at is None else f'"{at.isoformat()}"' for at in instants]) + "}"
    )
