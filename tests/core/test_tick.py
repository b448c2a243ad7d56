"""`manage.py tick`: one turn by hand, in another time only in the demo."""

from collections.abc import Iterator
from datetime import datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.core import registry
from apps.core.registry import Stage
from tests.instants import NOON

Turns = list[datetime]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Turns]:
    """The times at which the only stage has had its turn."""
    taken: Turns = []

    def take(now: datetime) -> int:
        taken.append(now)
        return 3

    monkeypatch.setattr(registry, "stages", lambda: [Stage("shelves", 1, take)])
    return taken


def tick(**options: str) -> str:
    out = StringIO()
    call_command("tick", stdout=out, **options)
    return out.getvalue()


def test_tick_takes_a_turn_now_and_says_what_was_done(turns, settings):
    settings.DEMO = False
    before = timezone.now()

    assert tick() == "shelves: 3\n"
    assert before <= turns[0] <= timezone.now()


def test_tick_moves_in_time_in_the_demo(turns, settings):
    settings.DEMO = True

    tick(now=NOON.isoformat())

    assert turns == [NOON]


def test_tick_moves_no_real_mail_in_time(turns, settings):
    settings.DEMO = False

    with pytest.raises(CommandError, match="only with DEMO=1"):
        tick(now=NOON.isoformat())

    assert turns == []


def test_tick_refuses_a_time_that_it_can_t_read(turns, settings):
    settings.DEMO = True

    with pytest.raises(CommandError):
        tick(now="noon")

    assert turns == []
