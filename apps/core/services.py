"""The tick: one whole turn of the product, stage by stage."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from apps.core import registry

logger = logging.getLogger(__name__)


def tick(*, now: datetime) -> Counter[str]:
    """Take one turn of everything due at `now`, in floor order; count what each stage did.

    Where the database gives up on a stage (a deadlock, a lost connection) and works all the same,
    the others have their turn; that stage has its next one soon.
    """
    done: Counter[str] = Counter()
    for stage in registry.stages():
        try:
            done[stage.name] = stage.run(now)
        except (OperationalError, InterfaceError) as problem:
            if not _database_works():
                raise
            logger.warning("The turn of %s broke off: %s.", stage.name, type(problem).__name__)
    return done


def _database_works() -> bool:
    connection.close_if_unusable_or_obsolete()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        return False
    return True


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
