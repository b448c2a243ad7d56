from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.utils import timezone as clock

from apps.core import wording
from apps.core.templatetags import cuepost


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=-3), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(seconds=60), "1 minute"),
        (timedelta(minutes=119), "1 hour"),
        (timedelta(days=2, hours=23), "2 days"),
    ],
)
def test_roughly_names_the_largest_whole_unit(duration, words):
    assert wording.roughly(duration) == words


@pytest.mark.parametrize(
    ("count", "limit", "words"),
    [
        (0, None, "0 mails"),
        (1, None, "1 mail"),
        (1000, 1000, "1,000 mails"),
        (1001, 1000, "1,000+ mails"),
    ],
)
def test_counted_says_where_counting_stopped(count, limit, words):
    assert wording.counted(count, "mail", limit=limit) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        ("", "–"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (2.5, "2.5"),
        ("Mug", "Mug"),
        ("2026-03-02T12:00:05+00:00", "2 Mar 2026, 12:00:05 UTC"),
        ("2026-03-02T", "2026-03-02T"),
        ("2026-99-02T12:00:05+00:00", "2026-99-02T12:00:05+00:00"),
        ({"a": 1}, '{\n "a": 1\n}'),
    ],
)
def test_told_shows_a_stored_value_as_people_read_it(value, words):
    assert wording.told(value) == words


def test_rows_of_names_values_as_a_sentence_would():
    assert wording.rows_of({"first_name": "Ada", "is_test": False}) == [
        ("first name", "Ada"),
        ("is test", "no"),
    ]


def test_moment_is_the_same_for_everybody():
    there = datetime(2026, 3, 2, 14, 0, 5, tzinfo=timezone(timedelta(hours=2)))

    assert wording.moment(there) == "2 Mar 2026, 12:00:05 UTC"


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(minutes=-5), "5 minutes ago"),
        (timedelta(hours=2, minutes=1), "in 2 hours"),
    ],
)
def test_ago_tells_the_distance_and_the_exact_time(distance, words):
    at = clock.now() + distance

    shown = cuepost.ago(at)

    assert f">{words}</time>" in shown
    assert wording.moment(at) in shown


def test_a_time_that_never_came_is_a_dash():
    assert (cuepost.ago(None), cuepost.moment(None)) == ("–", "–")
    assert "2 Mar 2026" in cuepost.moment(datetime(2026, 3, 2, tzinfo=UTC))
