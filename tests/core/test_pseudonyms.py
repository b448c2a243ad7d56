"""Pseudonyms of browsers and addresses, in Python and in PostgreSQL."""

import hmac
from base64 import urlsafe_b64encode

import pytest
from django.db import connection

from apps.core.pseudonyms import as_stored, hide_browser, hide_column, hide_ip

SCRATCH = "CREATE TEMPORARY TABLE scratch (id bigserial, kind text, value text) ON COMMIT DROP"


def test_a_pseudonym_is_short_and_the_same_each_time():
    hidden = hide_browser("0b5a-visitor")

    assert hidden == hide_browser("0b5a-visitor")
    assert len(hidden) == 24
    assert hidden.startswith("b_")
    assert "visitor" not in hidden


def test_a_pseudonym_depends_on_the_key_and_on_what_it_hides(settings):
    before = hide_browser("203.0.113.7")

    settings.HASH_KEY = "another key"

    assert hide_browser("203.0.113.7") != before
    assert hide_ip("203.0.113.7").removeprefix("ip_") != hide_browser("203.0.113.7")[2:]


def test_a_pseudonym_is_the_hmac_of_rfc_2104(settings):
    settings.HASH_KEY = "a key of more than one block " * 4

    digest = hmac.digest(settings.HASH_KEY.encode(), b"b_visitor", "sha256")

    assert hide_browser("visitor") == "b_" + urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def test_a_client_cannot_pass_a_pseudonym_off_as_its_own():
    hidden = hide_browser("visitor")

    assert as_stored(hidden) == hidden
    assert hide_browser(hidden) != hidden


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["short", "k" * 64, "a key of more than one block " * 4])
def test_postgresql_makes_the_same_pseudonyms(settings, key):
    settings.HASH_KEY = key
    values = ["visitor", "Zoë 🛒", "", hide_browser("hidden before"), "x" * 200]
    with connection.cursor() as cursor:
        cursor.execute(SCRATCH)
        rows = [("browser", value) for value in values] + [("user", "visitor")]
        cursor.executemany("INSERT INTO scratch (kind, value) VALUES (%s, %s)", rows)

        counts = [
            hide_column(table="scratch", column="value", where="kind = 'browser'") for _ in range(2)
        ]

        cursor.execute("SELECT value FROM scratch ORDER BY id")
        found = [value for (value,) in cursor.fetchall()]
    assert found == [as_stored(value) if value else "" for value in values] + ["visitor"]
    assert counts == [3, 0]
