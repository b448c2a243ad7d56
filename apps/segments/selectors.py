"""What the pages show of segments."""

from dataclasses import dataclass
from datetime import datetime

from django.db import OperationalError, connection, transaction

from apps.core.selectors import count_up_to
from apps.segments import compiler
from apps.segments.conditions import Condition, ConditionError, describe, parse
from apps.segments.models import Segment

MAX_COUNTED = 1_000_000
# A page doesn't wait longer for its count.
MILLISECONDS = 3_000


@dataclass(frozen=True)
class Size:
    """How many contacts are in a segment; None where counting took too long."""

    count: int | None


def read_condition(segment: Segment) -> Condition:
    """The segment's condition; raises ConditionError where it can't be used any more."""
    return parse(segment.condition)


def describe_segment(segment: Segment) -> str:
    """Who is meant, in words; what is wrong where the condition can't be used."""
    try:
        return describe(read_condition(segment))
    except ConditionError as problem:
        return f"This condition can't be used: {problem}"


def measure(segment: Segment, *, now: datetime) -> Size:
    """Count who qualifies now, for a few seconds at most; raises ConditionError."""
    contacts = compiler.contacts_matching(read_condition(segment), as_of=now)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{MILLISECONDS}"])
            return Size(count_up_to(contacts, MAX_COUNTED))
    except OperationalError:
        return Size(None)
