"""A log line is one line and quotes no row."""

import logging
import sys

from config.logs import MAX_CHARACTERS, LineFormatter


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
