"""Instants come back from PostgreSQL as they went in."""

from datetime import UTC, datetime

import pytest
from django.db import DataError, connection

from apps.core.database import instant_array, number_array, text_array

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 3, 2, 12, tzinfo=UTC),
        datetime(2026, 3, 2, 12, 0, 0, 120_000, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_an_instant_is_read_in_utc(instant):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [instant])

        assert cursor.fetchone() == (instant,)


@pytest.mark.parametrize("literal", ["infinity", "0001-01-01 00:00+00 BC"])
def test_an_instant_that_python_has_not_is_an_error(literal):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [literal])

        with pytest.raises(DataError):
            cursor.fetchone()


@pytest.mark.parametrize(
    "texts", [[], [""], ["null", "NULL", "a b", "{c,d}"], ['"', "\\", '\\"', "ä\n\t'%s"]]
)
def test_texts_arrive_as_they_are(texts):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[]", [text_array(texts)])

        assert cursor.fetchone() == (texts,)


@pytest.mark.parametrize("numbers", [[], [1, -2], [None, 2**62]])
def test_numbers_arrive_as_they_are(numbers):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::bigint[]", [number_array(numbers)])

        assert cursor.fetchone() == (numbers,)


@pytest.mark.parametrize("instants", [[], [None, datetime(2026, 3, 2, 12, 0, 0, 5, tzinfo=UTC)]])
def test_instants_arrive_as_they_are(instants):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz[]", [instant_array(instants)])

        assert cursor.fetchone() == (instants,)
