"""Events from a file: each row becomes a message and goes the way of every event.

What is imported has arrived when it is imported (`received_at`), whenever it occurred: so it lies
in this month's partition and is kept as long as what arrives today. Conditions and their windows
ask when something occurred. A row's message ID comes from its content and its place, so the same
file imported again adds nothing.
"""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.db import OperationalError

from apps.core.clock import BadInstant, parse_instant
from apps.core.sheets import SURPLUS, Row, is_text
from apps.events import log, messages, pipeline, services
from apps.events.models import Event, InboxEvent, RejectedEvent, Source
from apps.events.timing import MAX_AHEAD

CHUNK = 5000
# The database may give up on a batch that got in another's way; then the next turn takes it.
MAX_FAILURES = 5
# So long another worker may sit on a shard before we give up waiting for it.
SECONDS_TO_WAIT = 300.0

FIELDS = {
    "event": "event",
    "type": "type",
    "name": "name",
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "previous_id": "previousId",
    "message_id": "messageId",
    "occurred_at": "timestamp",
}
GROUPS = ("properties", "traits", "context")

_PATH = re.compile(rf"(?:{'|'.join(FIELDS)}|(?:{'|'.join(GROUPS)})(?:\.[^.:=\s]+)+)")
_ZONE = re.compile(r"\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_UNIX = re.compile(r"\d{9,13}(?:\.\d{1,9})?")
_NUMBER = re.compile(r"[+-]?(?:\d{1,17}(?:\.\d{1,17})?|\.\d{1,17})(?:[eE][+-]?\d{1,2})?")
# Later than this, a number of seconds since 1970 is meant as one of milliseconds.
_LATEST_SECONDS = 10**11


class BadPlan(Exception):
    """The columns can't be used like that; the text says why, in one sentence."""


class BadRow(Exception):
    """A row that can't become an event: a named reason, and what it was about."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Stuck(Exception):
    """The pipeline does not come round to what was imported."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place in a message, such as `properties.price`, and whether it holds a number."""

    path: tuple[str, ...]
    is_number: bool = False

    @classmethod
    def parse(cls, text: str) -> "Target":
        path, _, kind = text.partition(":")
        if not _PATH.fullmatch(path) or kind not in ("", "number"):
            raise BadPlan(
                f"“{text}” is no field of an event; use {', '.join(FIELDS)}, or properties., "
                "traits. or context. and a name, with :number behind it where it is one."
            )
        first, *rest = path.split(".")
        return cls((FIELDS.get(first, first), *rest), is_number=kind == "number")


@dataclass(frozen=True)
class Plan:
    """How a file's rows become messages."""

    columns: dict[Target, str]
    constants: dict[Target, str]
    event_names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, *, columns: dict[str, str], constants: dict[str, str], event_names: dict[str, str]
    ) -> "Plan":
        """Read what somebody typed; raise BadPlan."""
        plan = cls(
            {Target.parse(name): column for name, column in columns.items()},
            {Target.parse(name): value for name, value in constants.items()},
            event_names,
        )
        paths = [target.path for target in (*plan.columns, *plan.constants)]
        for path in paths:
            if paths.count(path) > 1 or any(
                path[:length] in paths for length in range(1, len(path))
            ):
                raise BadPlan(f"“{'.'.join(path)}” is given more than once.")
        given = {path[0] for path in paths}
        if not given & {"userId", "anonymousId"} and not any(path[-1] == "email" for path in paths):
            raise BadPlan("Say who: map user_id, anonymous_id or traits.email.")
        if not given & {"event", "type"}:
            raise BadPlan("Say what: map event, or set it for all rows.")
        return plan

    def has_time(self) -> bool:
        return any(target.path == ("timestamp",) for target in (*self.columns, *self.constants))

    def message(self, row: Row, number: int, *, now: datetime) -> dict[str, Any]:
        """Make the message of a row; raise BadRow."""
        if SURPLUS in row:
            raise BadRow("too_many_cells", row[SURPLUS][:200])
        content = "\x1f".join([str(number), *row.values()])
        if not is_text(content):
            raise BadRow("not_text")
        digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
        message: dict[str, Any] = {"type": "track", "messageId": f"import-{digest}"}
        for target, column in self.columns.items():
            if text := row[column].strip():
                _put(message, target, self._value(target, text, column, now))
        for target, text in self.constants.items():
            _put(message, target, self._value(target, text, "", now))
        return message

    def _value(self, target: Target, text: str, column: str, now: datetime) -> Any:
        if target.is_number:
            return _number(text, column)
        if len(target.path) > 1:
            return text
        if target.path == ("timestamp",):
            return _instant(text, column, now)
        return self.event_names.get(text, text) if target.path == ("event",) else text


@dataclass(slots=True)
class ImportReport:
    """What became of the rows of a file."""

    row_count: int = 0
    stored: int = 0
    doubles: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that did not become an event, as the file has it."""

    number: int
    row: Row
    reason: str
    detail: str = ""


@dataclass
class Import:
    """One file on its way into the log of a source. `clock` is asked once for each chunk."""

    plan: Plan
    source: Source
    is_backfill: bool
    clock: Callable[[], datetime]
    on_refusal: Callable[[Refusal], None]
    report: ImportReport = field(default_factory=ImportReport)

    def run(self, rows: Iterable[Row], *, first_row: int) -> Iterator[ImportReport]:
        """Work through the rows chunk by chunk; after each, tell how far we are."""
        numbered = enumerate(rows, start=first_row)
        while chunk := list(islice(numbered, CHUNK)):
            self._take(chunk)
            yield self.report

    def _take(self, chunk: list[tuple[int, Row]]) -> None:
        now = self.clock()
        ready = self._read(chunk, now)
        known = self._known(ready)
        self.report.doubles += len(known)
        fresh = {key: value for key, value in ready.items() if key not in known}
        if not fresh:
            return
        last = InboxEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        services.accept(
            source=self.source,
            is_secret=True,
            messages=[message for _, _, message in fresh.values()],
            received_at=now,
            is_backfill=self.is_backfill,
        )
        mine = InboxEvent.objects.filter(pk__gt=last, source=self.source, received_at=now)
        drain_until(lambda: not mine.exists(), clock=self.clock)
        written = Event.objects.filter(source=self.source, message_id__in=fresh)
        kept = written.exclude(type=Event.Type.DROPPED)
        stored = set(kept.values_list("message_id", flat=True))
        self.report.stored += len(stored)
        self._explain({key: value for key, value in fresh.items() if key not in stored}, now)

    def _read(
        self, chunk: list[tuple[int, Row]], now: datetime
    ) -> dict[str, tuple[int, Row, dict[str, Any]]]:
        """The messages of a chunk by their IDs; rows that can't be used are told."""
        ready: dict[str, tuple[int, Row, dict[str, Any]]] = {}
        for number, row in chunk:
            if not row:
                continue
            self.report.row_count += 1
            try:
                message = self.plan.message(row, number, now=now)
                message_id = messages.check(message).message_id
            except (BadRow, messages.BadMessage) as problem:
                self._refuse(number, row, problem.reason, problem.detail)
                continue
            if message_id in ready:
                self.report.doubles += 1
            ready.setdefault(message_id, (number, row, message))
        return ready

    def _known(self, keys: Iterable[str]) -> set[str]:
        pairs = [(self.source.pk, key) for key in keys]
        return {key for _, key in log.known(pairs)} if pairs else set()

    def _explain(self, lost: dict[str, tuple[int, Row, dict[str, Any]]], now: datetime) -> None:
        """Tell of what the pipeline took and did not write: it failed, or may not be kept."""
        if not lost:
            return
        rejected = RejectedEvent.objects.filter(
            source=self.source, message_id__in=lost, received_at=now
        )
        reasons = dict(rejected.values_list("message_id", "reason"))
        for key, (number, row, _) in lost.items():
            self._refuse(number, row, reasons.get(key, "tracking_refused"), "")

    def _refuse(self, number: int, row: Row, reason: str, detail: str) -> None:
        self.report.refused[reason] += 1
        self.on_refusal(Refusal(number, row, reason, detail))


def drain_until(is_done: Callable[[], bool], *, clock: Callable[[], datetime]) -> None:
    """Drain the inbox, beside other workers, until nothing of ours is left in it."""
    failures = 0
    patience = time.monotonic() + SECONDS_TO_WAIT
    while not is_done():
        try:
            done = pipeline.drain(now=clock())
        except OperationalError:
            failures += 1
            if failures > MAX_FAILURES:
                raise
            done = 0
        if done:
            patience = time.monotonic() + SECONDS_TO_WAIT
        elif time.monotonic() > patience:
            raise Stuck("Other workers don't let go of events that were imported.")
        else:
            time.sleep(0.05)


def _put(message: dict[str, Any], target: Target, value: Any) -> None:
    place = message
    for name in target.path[:-1]:
        place = place.setdefault(name, {})
    place[target.path[-1]] = value


def _number(text: str, column: str) -> int | float:
    if not _NUMBER.fullmatch(text):
        raise BadRow("bad_number", column)
    return float(text) if set(text) & set(".eE") else int(text)


def _instant(text: str, column: str, now: datetime) -> str:
    """Read a time as files have it: ISO 8601, with UTC behind it or not, or seconds since 1970."""
    try:
        if _UNIX.fullmatch(text):
            seconds = float(text)
            seconds = seconds if seconds < _LATEST_SECONDS else seconds / 1000
            instant = datetime.fromtimestamp(seconds, UTC)
        else:
            instant = parse_instant(_ZONE.sub("", text))
    except (BadInstant, OverflowError, ValueError) as problem:
        raise BadRow("bad_time", column) from problem
    if instant > now + MAX_AHEAD:
        raise BadRow("future_time", column)
    return instant.isoformat()
