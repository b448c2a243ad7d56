"""What a condition is made of: one small frozen struct for each kind."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, TypeAlias

from msgspec import Struct


class Var(Struct, frozen=True, tag="var"):
    """A value that only the asker knows: what an enrollment is about."""

    ENTRY_KEY: ClassVar[str] = "entry_key"

    name: str


class Moment(Struct, frozen=True, tag="moment"):
    """A day or an instant; a day lasts from `start` to `end`, an instant is both."""

    text: str
    start: datetime
    end: datetime


Scalar: TypeAlias = str | bool | Decimal
Operand: TypeAlias = Scalar | Moment | Var | tuple[Scalar, ...]
Path: TypeAlias = tuple[str, ...]


class Comparison(Struct, frozen=True):
    """An operator and what it compares with."""

    operator: str
    operand: Operand


class Filter(Struct, frozen=True):
    """A demand on one property of an event."""

    path: Path
    test: Comparison


class Window(Struct, frozen=True):
    """Which events count, by their time; without any bound, all of them."""

    within: timedelta | None = None
    is_since_enrollment: bool = False
    more_than_ago: timedelta | None = None
    start: Moment | None = None
    end: Moment | None = None


ALL_TIME = Window()


class Attribute(Struct, frozen=True, tag="attribute"):
    """What is known about a contact."""

    path: Path
    test: Comparison


class Did(Struct, frozen=True, tag="did"):
    """How often a contact did something: at least once, if nothing else is said.

    `did_not` is the same with `at_most` 0.
    """

    event: str
    where: tuple[Filter, ...] = ()
    at_least: int = 1
    at_most: int | None = None
    window: Window = ALL_TIME


class Consent(Struct, frozen=True, tag="consent"):
    """What a contact allowed or refused."""

    purpose: str
    status: str
    is_wanted: bool


class InSegment(Struct, frozen=True, tag="in_segment"):
    """Whether a contact meets the condition of a segment."""

    key: str


class AllOf(Struct, frozen=True, tag="all"):
    parts: "tuple[Condition, ...]"


class AnyOf(Struct, frozen=True, tag="any"):
    parts: "tuple[Condition, ...]"


class Not(Struct, frozen=True, tag="not"):
    part: "Condition"


Condition: TypeAlias = Attribute | Did | Consent | InSegment | AllOf | AnyOf | Not
