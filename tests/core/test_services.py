"""The tick, when a stage of it fails."""

from datetime import datetime

import pytest
from django.db import OperationalError, connection, transaction

from apps.core import registry, services
from apps.core.registry import Stage
from tests.instants import NOON


@pytest.fixture
def stages(monkeypatch):
    monkeypatch.setattr(registry, "_stages", {})
    return registry


def count(now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 7")
        return int(cursor.fetchone()[0])


def run(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def time_out(now: datetime) -> int:
    run("SET LOCAL statement_timeout = '1ms'; SELECT pg_sleep(1)")
    return 1


def lose_the_connection(now: datetime) -> int:
    run("SELECT pg_terminate_backend(pg_backend_pid())")
    return 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failure", [time_out, lose_the_connection])
def test_a_stage_that_the_database_gives_up_leaves_the_others_their_turn(stages, failure, caplog):
    stages.register_stage(Stage("first", 1, failure))
    stages.register_stage(Stage("second", 2, count))

    assert services.tick(now=NOON) == {"second": 7}
    assert [record.getMessage() for record in caplog.records] == [
        "The turn of first broke off: OperationalError."
    ]


@pytest.mark.django_db(transaction=True)
def test_without_a_database_the_tick_ends(stages, monkeypatch):
    ran = []

    def lose_the_database(now: datetime) -> int:
        monkeypatch.setitem(connection.settings_dict, "PORT", "1")
        return lose_the_connection(now)

    stages.register_stage(Stage("first", 1, lose_the_database))
    stages.register_stage(Stage("second", 2, lambda now: ran.append(now) or 1))

    with pytest.raises(OperationalError):
        services.tick(now=NOON)
    monkeypatch.undo()
    connection.close()

    assert ran == []


@pytest.mark.django_db
def test_an_error_of_ours_ends_the_tick(stages):
    def fail(now: datetime) -> int:
        raise KeyError(1)

    stages.register_stage(Stage("first", 1, fail))

    with pytest.raises(KeyError):
        services.tick(now=NOON)
