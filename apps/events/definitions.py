"""The tracking plan at work: what a batch holds is checked against it, and it learns from it.

A process reads the plan every few seconds and keeps it compiled, so that an event costs a look into
a dictionary. What is learned is bounded, so that garbage can't fill the table.
"""

import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.db import connection, transaction
from django.db.models import Count

from apps.events.ecommerce import BUILT_IN
from apps.events.models import EventDefinition, EventViolation
from apps.events.validation import Fault, compile_schema

logger = logging.getLogger(__name__)

SECONDS_THE_PLAN_IS_KEPT = 5.0
MAX_DEFINITIONS = 5000
MAX_NAMES_PER_SOURCE = 200
MAX_PROPERTIES = 100
MAX_PROPERTY_NAME = 60
MAX_KEPT_SHAPES = 20_000
MAX_SAMPLES = 3
SEEN_AGAIN_AFTER = timedelta(hours=1)

# What holds somebody's address or number is no name of an event, and would outlive its person.
_TELLING = re.compile(r"@|\d{5,}|[0-9a-f]{12,}", re.IGNORECASE)
_KINDS = {str: "text", bool: "yes/no", int: "number", float: "number", list: "list", dict: "object"}

_COUNT = """
INSERT INTO events_eventviolation AS old (definition_id, day, property, reason, count, samples)
SELECT definition, day, property, reason, count, samples
FROM jsonb_to_recordset(%s::jsonb) AS new (
    definition bigint, day date, property text, reason text, count bigint, samples jsonb
)
WHERE EXISTS (SELECT FROM events_eventdefinition AS one WHERE one.id = new.definition)
ORDER BY definition, day, property, reason
ON CONFLICT (definition_id, day, property, reason) DO UPDATE SET
    count = old.count + excluded.count,
    samples = CASE WHEN jsonb_array_length(old.samples) < 3
        THEN jsonb_path_query_array(old.samples || excluded.samples, '$[0 to 2]')
        ELSE old.samples END
"""

Find = Callable[[Mapping[str, Any]], list[Fault]]


@dataclass(frozen=True, slots=True)
class Known:
    """One event of the plan, as the pipeline needs it."""

    pk: int
    choice: str
    natural_key: str
    find: Find | None
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Broken:
    """Rules that one event breaks, and where that event is to be found."""

    definition: int
    day: date
    faults: list[Fault]
    place: dict[str, int]


Plan = Mapping[str, Known]

_kept: list[tuple[float, dict[str, Known]]] = []
# By definition, with the time it was changed: what its rules compile to.
_compiled: dict[tuple[int, datetime], Find] = {}
# Names with the properties and kinds that were learned already.
_shapes: set[tuple[Any, ...]] = set()


def plan() -> Plan:
    """All definitions by their names."""
    if not _kept or _kept[0][0] <= time.monotonic():
        rows = EventDefinition.objects.order_by("pk").values_list(
            "pk", "name", "choice", "natural_key", "schema", "updated_at", "last_seen_at"
        )
        read = {
            name: Known(pk, choice, key, _find(pk, changed_at, schema), seen_at)
            for pk, name, choice, key, schema, changed_at, seen_at in rows[:MAX_DEFINITIONS]
        }
        _kept[:] = [(time.monotonic() + SECONDS_THE_PLAN_IS_KEPT, read)]
    return _kept[0][1]


def forget() -> None:
    """Read the plan anew, and learn anew."""
    _kept.clear()
    _compiled.clear()
    _shapes.clear()


def install(**_: Any) -> None:
    """Add the built-in events that are missing, after the migrations."""
    EventDefinition.objects.bulk_create(
        [
            EventDefinition(
                name=one.name,
                description=one.description,
                origin=EventDefinition.Origin.BUILT_IN,
                schema=one.schema,
                natural_key=one.natural_key,
            )
            for one in BUILT_IN
        ],
        ignore_conflicts=True,
    )


def _find(pk: int, changed_at: datetime, schema: object) -> Find | None:
    """What checks an event; compiled when the first one comes, and once."""
    if not isinstance(schema, dict) or not schema:
        return None
    rules: Mapping[str, Any] = schema

    def find(properties: Mapping[str, Any]) -> list[Fault]:
        check = _compiled.get((pk, changed_at))
        if check is None:
            if len(_compiled) >= MAX_DEFINITIONS:
                _compiled.clear()
            check = _compiled[pk, changed_at] = compile_schema(rules)
        return check(properties)

    return find


# --- what breaks the rules ----------------------------------------------------------------------


def count_violations(found: Iterable[Broken]) -> None:
    """Count what broke the rules, in one statement; call inside the pipeline's transaction."""
    rows: dict[tuple[int, date, str, str], dict[str, Any]] = {}
    for one in found:
        for fault in one.faults:
            key = (one.definition, one.day, fault.property, fault.reason)
            row = rows.setdefault(
                key, dict(zip(("definition", "day", "property", "reason"), key, strict=True))
            )
            row["count"] = row.get("count", 0) + 1
            samples = row.setdefault("samples", [])
            if len(samples) < MAX_SAMPLES:
                samples.append({**one.place, "found": fault.found})
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [msgspec.json.encode(list(rows.values())).decode()])


# --- what is learned ----------------------------------------------------------------------------


class Seen(NamedTuple):
    """One event as it came."""

    name: str
    source_id: int
    properties: Mapping[str, Any]


def learn(events: Iterable[Seen], *, now: datetime) -> None:
    """Note names and kinds of properties that are new; for what is known it asks no database."""
    fresh: dict[tuple[Any, ...], Seen] = {}
    names: set[str] = set()
    for event in events:
        told = event.properties
        shape = (event.name, tuple(told), tuple(map(type, told.values())))
        if shape not in _shapes:
            fresh.setdefault(shape, event)
        names.add(event.name)
    if fresh:
        _make_missing(fresh.values(), now)
        transaction.on_commit(lambda: _keep(fresh))
    told = _kinds_of(fresh.values())
    wanted = _stale(names, now) | _with_news(told)
    if wanted:
        _update(wanted, told, now)
        _kept.clear()


def _keep(shapes: Iterable[tuple[Any, ...]]) -> None:
    if len(_shapes) > MAX_KEPT_SHAPES:
        _shapes.clear()
    _shapes.update(shapes)


def _make_missing(events: Iterable[Seen], now: datetime) -> None:
    known = plan()
    sources = {
        event.name: event.source_id
        for event in events
        if event.name not in known and is_learnable(event.name)
    }
    if not sources:
        return
    room = _room(set(sources.values()))
    missing = []
    for name, source_id in sorted(sources.items()):
        if room[source_id] > 0:
            room[source_id] -= 1
            missing.append(
                EventDefinition(
                    name=name,
                    source_id=source_id,
                    origin=EventDefinition.Origin.LEARNED,
                    first_seen_at=now,
                    last_seen_at=now,
                )
            )
    if missing:
        EventDefinition.objects.bulk_create(missing, ignore_conflicts=True)
        _kept.clear()


def is_learnable(name: str) -> bool:
    return bool(name) and name.isprintable() and not _TELLING.search(name)


def _room(source_ids: set[int]) -> dict[int, int]:
    """How many more names each of these sources may bring."""
    learned = EventDefinition.objects.filter(
        origin=EventDefinition.Origin.LEARNED, source_id__in=source_ids
    )
    counts = learned.values_list("source_id").annotate(Count("pk")).order_by()
    used = {source_id: count for source_id, count in counts if source_id is not None}
    return {source_id: MAX_NAMES_PER_SOURCE - used.get(source_id, 0) for source_id in source_ids}


def _kinds_of(events: Iterable[Seen]) -> dict[str, dict[str, set[str]]]:
    """By event and property: the kinds that came."""
    told: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for event in events:
        for name, value in event.properties.items():
            if kind := _KINDS.get(type(value)):
                told[event.name][name].add(kind)
    return told


def _with_news(told: Mapping[str, Mapping[str, set[str]]]) -> set[int]:
    """Definitions that have not seen this yet; a process that has just started asks about all."""
    if not told:
        return set()
    rows = EventDefinition.objects.filter(name__in=told)
    return {
        pk
        for pk, name, seen in rows.values_list("pk", "name", "seen_properties")
        if _merged(seen, told[name]) != seen
    }


def _stale(names: set[str], now: datetime) -> set[int]:
    """Those that were noted as seen an hour ago or longer: not with each event."""
    known = plan()
    return {
        one.pk
        for name in names
        if (one := known.get(name))
        and (one.last_seen_at is None or one.last_seen_at <= now - SEEN_AGAIN_AFTER)
    }


def _update(wanted: set[int], told: Mapping[str, Mapping[str, set[str]]], now: datetime) -> None:
    """All in one turn and in one order: another worker may be learning the same just now."""
    rows = EventDefinition.objects.filter(pk__in=wanted).order_by("pk")
    changed = list(rows.select_for_update(no_key=True))
    for row in changed:
        row.seen_properties = _merged(row.seen_properties, told.get(row.name, {}))
        row.first_seen_at = row.first_seen_at or now
        row.last_seen_at = max(row.last_seen_at or now, now)
    fields = ["seen_properties", "first_seen_at", "last_seen_at"]
    EventDefinition.objects.bulk_update(changed, fields)


def _merged(seen: Mapping[str, list[str]], told: Mapping[str, set[str]]) -> dict[str, list[str]]:
    merged = dict(seen)
    for name, kinds in told.items():
        if name in merged or _has_room(merged, name):
            merged[name] = sorted({*merged.get(name, ()), *kinds})
    return merged


def _has_room(seen: Mapping[str, list[str]], name: str) -> bool:
    is_short = len(seen) < MAX_PROPERTIES and len(name) <= MAX_PROPERTY_NAME
    return is_short and is_learnable(name)


# --- old days -----------------------------------------------------------------------------------


def drop_violations(*, before: date) -> int:
    return EventViolation.objects.filter(day__lt=before).delete()[0]


# --- what staff makes of it ---------------------------------------------------------------------

_TYPES = {
    "text": ["string"],
    "yes/no": ["boolean"],
    "number": ["number"],
    "list": ["array"],
    "object": ["object"],
}


def adopt_seen(definition: EventDefinition) -> None:
    """Make rules of the kinds that were seen; rules that are there stay."""
    rules = dict(definition.rules)
    for name, kinds in sorted(definition.seen_properties.items()):
        types = [one for kind in kinds for one in _TYPES.get(kind, [])]
        if types and name not in rules:
            rules[name] = {"type": types[0] if len(types) == 1 else types}
    schema = definition.schema if isinstance(definition.schema, dict) else {}
    definition.schema = {"type": "object", **schema, "properties": rules}
    definition.save(update_fields=["schema", "updated_at"])
    _kept.clear()
