"""Durations and instants, as people and clients write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.clock import BadDuration, BadInstant, parse_duration, parse_instant


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1 second", timedelta(seconds=1)),
        ("30 minutes", timedelta(minutes=30)),
        (" 1  hour ", timedelta(hours=1)),
        ("0 days", timedelta(0)),
        ("2weeks", timedelta(weeks=2)),
    ],
)
def test_duration_is_read(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "1", "-1 day", "1.5 hours", "1 month", "9999999 days", 7, None]
)
def test_anything_else_is_no_duration(text):
    with pytest.raises(BadDuration, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-02T12:00:00Z", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("2026-03-02T12:00:00", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("2026-03-02T13:00:00+01:00", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_instant_is_read_into_utc(text, instant):
    assert parse_instant(text) == instant


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00+14:00", 1740000000, None])
def test_anything_else_is_no_instant(text):
    with pytest.raises(BadInstant, match="is not an ISO 8601 time"):
        parse_instant(text)


@given(st.text())
def test_no_text_breaks_the_readers(text):
    for read, problem in ((parse_duration, BadDuration), (parse_instant, BadInstant)):
        try:
            read(text)
        except problem:
            continue
