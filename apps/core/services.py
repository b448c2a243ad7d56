"""The tick: one whole turn of the product, stage by stage."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from apps.core import registry


def tick(*, now: datetime) -> Counter[str]:
    """Take one turn of everything due at `now`, in floor order; count what each stage did."""
    return Counter({stage.name: stage.run(now) for stage in registry.stages()})


def tick_until_quiet(*, clock: Callable[[], datetime], seconds: float) -> Counter[str]:
    """Take turns until one finds nothing to do, or until that much real time has passed.

    Turns are short, so that a new event never waits behind a long queue of mail.
    """
    deadline = time.monotonic() + seconds
    done: Counter[str] = Counter()
    while turn := +tick(now=clock()):
        done += turn
        if time.monotonic() >= deadline:
            break
    return done
