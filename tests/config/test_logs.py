"""A log line is one line and quotes no row."""

import logging
import sys

import pytest

from apps.core import tokens
from config.logs import MASK, MAX_CHARACTERS, LineFormatter, redact, without_texts


def record(message, *arguments, problem=None):
    made = logging.LogRecord("apps.events", logging.ERROR, __file__, 1, message, arguments, problem)
    made.created = 0.0
    return made


def insert():
    raise ValueError("Key (email)=(maya@example.com) already exists.")


def failure():
    """As a handler sees it: an exception that quotes a row, on its way through our code."""
    try:
        insert()
    except ValueError:
        return sys.exc_info()


def test_several_lines_become_one():
    line = LineFormatter().format(record("two\n  lines %s", "here"))

    assert line.endswith("ERROR apps.events: two lines here")


def test_an_exception_is_told_by_its_type_and_place():
    line = LineFormatter().format(record("It failed.", problem=failure()))

    assert "It failed. (ValueError in tests/config/test_logs.py:" in line
    assert "maya" not in line


def test_what_celery_writes_of_a_failed_task_holds_no_text_of_the_exception():
    context = {"name": "core.tick", "exc": "ValueError('maya@example.com')", "traceback": "maya"}

    line = LineFormatter().format(
        record("Task %(name)s raised: %(exc)s %(traceback)s", context, problem=failure())
    )

    assert "Task core.tick raised: ValueError" in line
    assert "maya" not in line


def test_a_long_line_is_cut():
    line = LineFormatter().format(record("x" * 10_000))

    assert len(line) == MAX_CHARACTERS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 <maya@example.com> unknown", f"550 <{MASK}> unknown"),
        ("Not Found: /x/maya.o+1@mail.example.co.uk/", f"Not Found: /x/{MASK}/"),
        ("?email=maya%40example.com&x=1", f"?email={MASK}&x=1"),
        ("key sk_aB3-_xyz refused", f"key {MASK} refused"),
        ("redis://user:secret@broker:6379/0", f"redis://{MASK}@broker:6379/0"),
        ("call +49 151 1234-5678 now", f"call {MASK} now"),
        ("Message 0b8f6f0a-5f0e-4c36-9a57-1c1f7f6f2f11 is in doubt", None),
        ("Listening at http://127.0.0.1:8000, 12:00:05, 3+4 rows", None),
    ],
)
def test_what_names_somebody_is_taken_out(text, shown):
    assert redact(text) == (shown or text)


def test_a_token_is_taken_out():
    token = tokens.sign("click", ["0b8f6f0a", "https://shop.example/"])

    assert redact(f"Not Found: /e/c/{token}") == f"Not Found: /e/c/{MASK}"


def test_an_address_is_taken_out_before_the_line_is_cut():
    line = LineFormatter().format(record("x" * (MAX_CHARACTERS - 80) + " maya@example.com" * 5))

    assert "maya" not in line


def test_a_long_word_costs_little():
    assert redact("x" * 200_000) == "x" * 200_000


def test_an_error_service_hears_no_text():
    event = {
        "exception": {"values": [{"type": "ValueError", "value": "maya@example.com"}]},
        "logentry": {"message": "To maya@example.com", "params": ["maya"]},
        "request": {
            "method": "GET", "url": "https://x/maya@example.com", "query_string": "q=maya",
            "headers": {"Cookie": "maya"},
        },
        "user": {"username": "maya"},
        "breadcrumbs": {"values": ["maya"]},
    }  # fmt: skip

    told = without_texts(event, {})

    assert "maya" not in str(told)
    assert told["exception"]["values"][0]["type"] == "ValueError"
