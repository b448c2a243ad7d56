"""Conditions as SQL over one row of contacts.

Every piece is TRUE where the condition holds; where it does not, it is FALSE or NULL, which WHERE
reads alike. Negations are carried down to the leaves, where they become NOT EXISTS and the like:
PostgreSQL makes joins of those, but not of a NOT around a whole group.

An event counts from when it happened; where its own clock is ahead of ours, from when we heard of
it. So its time is the earlier of the two.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from apps.segments.operands import TEXT_COLUMNS, TIME_COLUMNS, ConditionError
from apps.segments.operators import (
    Place,
    json_place,
    operator_sql,
    text_place,
    time_place,
)
from apps.segments.references import Library, parts_of
from apps.segments.sql import FALSE, Sql, all_of, any_of, param, sql
from apps.segments.tree import (
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Condition,
    Consent,
    Did,
    Filter,
    InSegment,
    Not,
    Path,
    Var,
    Window,
)

# So far ahead of our clock may an event's own be; the pipeline believes even less.
CLOCK_LEAD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that a condition is asked of, and the moment of the question.

    With `subject`, each row is one enrollment beside its contact: few rows, looked up one by one.
    Without, it is all contacts, and whole sets are joined.
    """

    contact: Sql
    as_of: datetime
    seen_until: datetime
    library: Library
    subject: Sql | None = None
    earliest_since: datetime | None = None

    def entry_key(self, test: Comparison) -> Sql:
        """What the enrollment is about, where a comparison asks for it."""
        is_asked = isinstance(test.operand, Var)
        return sql("{}.entry_key", self._enrollment()) if is_asked else FALSE

    def since(self) -> Sql:
        return sql("{}.since", self._enrollment())

    def _enrollment(self) -> Sql:
        if self.subject is None:
            raise ConditionError("", "speaks of a workflow, but nobody is inside one here.")
        return self.subject


def render(condition: Condition, scope: Scope, *, is_wanted: bool = True) -> Sql:
    """The condition, or with `is_wanted=False` its opposite."""
    return _RENDERERS[type(condition)](condition, scope, is_wanted)


def _group(condition: AllOf | AnyOf, scope: Scope, is_wanted: bool) -> Sql:
    if isinstance(condition, AllOf) is is_wanted:
        return all_of(render(part, scope, is_wanted=is_wanted) for part in condition.parts)
    if scope.subject is None:
        return _union(condition.parts, scope, is_wanted)
    return any_of(render(part, scope, is_wanted=is_wanted) for part in condition.parts)


def _union(parts: tuple[Condition, ...], scope: Scope, is_wanted: bool) -> Sql:
    """One of these, over all contacts: an OR of subqueries can't be joined, a union of them can."""
    inner = replace(scope, contact=Sql("contact"))
    ways = [render(part, inner, is_wanted=is_wanted) for part in parts if asks_events(part, scope)]
    plain = [part for part in parts if not asks_events(part, scope)]
    if len(ways) + bool(plain) < 2:
        return any_of(render(part, scope, is_wanted=is_wanted) for part in parts)
    if plain:
        ways.append(any_of(render(part, inner, is_wanted=is_wanted) for part in plain))
    members = [
        sql("SELECT contact.id FROM contacts_contact AS contact WHERE {}", way) for way in ways
    ]
    return sql(
        f"EXISTS (SELECT FROM ({' UNION ALL '.join('{}' for _ in members)}) AS one"
        " WHERE one.id = {}.id)",
        *members,
        scope.contact,
    )


def asks_events(condition: Condition, scope: Scope) -> bool:
    """Whether more than the contact's own row has to be read."""
    if isinstance(condition, InSegment):
        return asks_events(scope.library[condition.key], scope)
    if isinstance(condition, Did | Consent):
        return True
    return any(asks_events(part, scope) for part in parts_of(condition))


def _not(condition: Not, scope: Scope, is_wanted: bool) -> Sql:
    return render(condition.part, scope, is_wanted=not is_wanted)


def _in_segment(condition: InSegment, scope: Scope, is_wanted: bool) -> Sql:
    return render(scope.library[condition.key], scope, is_wanted=is_wanted)


# --- contacts -------------------------------------------------------------------------------------


def attribute_place(path: Path, scope: Scope) -> Place:
    """Where an attribute of the contact stands."""
    column = sql(f"{{}}.{path[0]}", scope.contact) if _is_column(path) else None
    if column is None:
        return json_place(sql("{}.attributes", scope.contact), path)
    return time_place(column) if path[0] in TIME_COLUMNS else text_place(column)


def _is_column(path: Path) -> bool:
    return len(path) == 1 and path[0] in (*TEXT_COLUMNS, *TIME_COLUMNS)


def _attribute(condition: Attribute, scope: Scope, is_wanted: bool) -> Sql:
    place = attribute_place(condition.path, scope)
    holds = operator_sql(condition.test, place, entry_key=scope.entry_key(condition.test))
    return holds if is_wanted else sql("({}) IS NOT TRUE", holds)


def newest_consent(condition: Consent, scope: Scope, columns: Sql) -> Sql:
    """These columns of the last record about this purpose until then, as a scalar subquery."""
    return sql(
        "(SELECT {} FROM consent_consentrecord AS record"
        " WHERE record.contact_id = {}.id AND record.purpose_id = {} AND record.recorded_at <= {}"
        " ORDER BY record.id DESC LIMIT 1)",
        columns,
        scope.contact,
        param(condition.purpose, "text"),
        param(scope.seen_until, "timestamptz"),
    )


def _consent(condition: Consent, scope: Scope, is_wanted: bool) -> Sql:
    """The state answers for all who have not changed their mind since; the records for the rest."""
    status = param(condition.status, "text")
    holds = sql(
        "EXISTS (SELECT FROM consent_consentstate AS state"
        " WHERE state.contact_id = {}.id AND state.purpose_id = {}"
        " AND CASE WHEN state.changed_at <= {} THEN state.status ELSE {} END = {})",
        scope.contact,
        param(condition.purpose, "text"),
        param(scope.seen_until, "timestamptz"),
        newest_consent(condition, scope, Sql("record.status")),
        status,
    )
    return holds if is_wanted is condition.is_wanted else sql("NOT {}", holds)


# --- events ---------------------------------------------------------------------------------------


def _did(condition: Did, scope: Scope, is_wanted: bool) -> Sql:
    """Enough of them, and not too many; the opposite is too few, or too many."""
    at_least, at_most = condition.at_least, condition.at_most
    enough = [] if at_least == 0 else [_exists(condition, scope, at_least)]
    too_many = [] if at_most is None else [_exists(condition, scope, at_most + 1)]
    if is_wanted:
        return all_of([*enough, *(sql("NOT {}", one) for one in too_many)])
    return any_of([*(sql("NOT {}", one) for one in enough), *too_many])


def _exists(condition: Did, scope: Scope, count: int) -> Sql:
    """Whether there are so many matching events."""
    matching = matching_events(condition, scope)
    if count > 1 and scope.subject is None:
        return sql(
            "EXISTS (SELECT FROM (SELECT event.contact_id FROM events_event AS event"
            " WHERE event.contact_id IS NOT NULL AND {}"
            " GROUP BY event.contact_id HAVING count(*) >= {}) AS often"
            " WHERE often.contact_id = {}.id)",
            matching,
            param(count, "bigint"),
            scope.contact,
        )
    rest = sql(" OFFSET {}", param(count - 1, "bigint")) if count > 1 else Sql("")
    return sql(
        "EXISTS (SELECT FROM events_event AS event WHERE event.contact_id = {}.id AND {}{})",
        scope.contact,
        matching,
        rest,
    )


def matching_events(condition: Did, scope: Scope) -> Sql:
    """What an event, as `event`, must be like; only whose it is stays open."""
    demands = [
        sql("event.name = {}", param(condition.event, "text")),
        Sql("event.type = 'track'"),
        *_window(condition.window, scope),
        *(_filter(one, scope) for one in condition.where),
    ]
    return all_of(demands)


def _filter(demand: Filter, scope: Scope) -> Sql:
    place = json_place(Sql("event.properties"), demand.path)
    return operator_sql(demand.test, place, entry_key=scope.entry_key(demand.test))


def _window(window: Window, scope: Scope) -> list[Sql]:
    demands = []
    if window.is_since_enrollment:
        demands.append(_since(scope))
    if window.within is not None:
        demands.append(_from(scope.as_of - window.within))
    if window.start is not None:
        demands.append(_from(window.start.start))
    if window.end is not None:
        demands.append(_until("<=", min(window.end.end, scope.seen_until)))
    elif window.more_than_ago is not None:
        demands.append(_until("<", scope.as_of - window.more_than_ago))
    else:
        demands.append(_until("<=", scope.seen_until))
    return demands


def _from(instant: datetime) -> Sql:
    """`received_at` is what the log is partitioned by, so old months are not even opened."""
    start = param(instant, "timestamptz")
    return sql("event.occurred_at >= {} AND event.received_at >= {}", start, start)


def _until(sign: str, instant: datetime) -> Sql:
    end = param(instant, "timestamptz")
    return sql(f"(event.occurred_at {sign} {{}} OR event.received_at {sign} {{}})", end, end)


def _since(scope: Scope) -> Sql:
    """What we hear of since counts too, whatever its own clock says; imported history does not."""
    since = scope.since()
    demand = sql(
        "(event.occurred_at >= {} OR event.received_at >= {} AND NOT event.is_backfill)",
        since,
        since,
    )
    if scope.earliest_since is None:
        return demand
    earliest = param(scope.earliest_since - CLOCK_LEAD, "timestamptz")
    return sql("{} AND event.received_at >= {}", demand, earliest)


_RENDERERS: dict[type, Callable[[Any, Scope, bool], Sql]] = {
    AllOf: _group,
    AnyOf: _group,
    Not: _not,
    InSegment: _in_segment,
    Attribute: _attribute,
    Consent: _consent,
    Did: _did,
}
