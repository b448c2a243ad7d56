"""What people did, and how often, as SQL over the event log.

An event's time is when it happened by its own clock, which the pipeline has set right by ours.
Everything here reads `event_by_contact` first; where no property and no time of receipt is asked
for, that index alone is enough.
"""

from datetime import datetime, timedelta

from apps.segments.operators import json_place, operator_sql
from apps.segments.scope import Scope
from apps.segments.sql import Sql, all_of, any_of, param, sql
from apps.segments.tree import Did, Filter, Window

# So far ahead of our clock may an event's own be; the pipeline believes even less.
CLOCK_LEAD = timedelta(minutes=10)


def did(condition: Did, scope: Scope, is_wanted: bool) -> Sql:
    """Whether the contact did it so often, or with `is_wanted=False` the opposite."""
    if scope.subject is not None:
        return _looked_up(condition, scope, is_wanted)
    is_doer = _among_doers(condition, scope)
    return is_doer if is_one_sided(condition) is not is_wanted else sql("NOT {}", is_doer)


def is_one_sided(condition: Did) -> bool:
    """Whether also those meet it who never did it; `doers()` are then those who do not."""
    return condition.at_least == 0


def doers(condition: Did, scope: Scope) -> Sql:
    """The ids of those who did it so often, or where it is one-sided, of those who did too much."""
    least, most = _bounds(condition)
    ids = sql(
        "SELECT event.contact_id AS id FROM events_event AS event"
        " WHERE event.contact_id IS NOT NULL AND {}",
        matching_events(condition, scope),
    )
    if (least, most) == (1, None):
        return ids
    count = sql("count(*) >= {}", param(least, "bigint"))
    if most is not None:
        count = sql("count(*) BETWEEN {} AND {}", param(least, "bigint"), param(most, "bigint"))
    return sql("{} GROUP BY event.contact_id HAVING {}", ids, count)


def _bounds(condition: Did) -> tuple[int, int | None]:
    if is_one_sided(condition):
        return (condition.at_most or 0) + 1, None
    return condition.at_least, condition.at_most


def _among_doers(condition: Did, scope: Scope) -> Sql:
    if _bounds(condition) == (1, None):
        return _exists(condition, scope, 1)
    return sql(
        "EXISTS (SELECT FROM ({}) AS doer WHERE doer.id = {}.id)",
        doers(condition, scope),
        scope.contact,
    )


def _looked_up(condition: Did, scope: Scope, is_wanted: bool) -> Sql:
    """For few contacts: count no further than the answer needs."""
    at_least, at_most = condition.at_least, condition.at_most
    enough = [] if at_least == 0 else [_exists(condition, scope, at_least)]
    too_many = [] if at_most is None else [_exists(condition, scope, at_most + 1)]
    if is_wanted:
        return all_of([*enough, *(sql("NOT {}", one) for one in too_many)])
    return any_of([*(sql("NOT {}", one) for one in enough), *too_many])


def _exists(condition: Did, scope: Scope, count: int) -> Sql:
    """Whether there are so many matching events."""
    rest = sql(" OFFSET {}", param(count - 1, "bigint")) if count > 1 else Sql("")
    return sql(
        "EXISTS (SELECT FROM events_event AS event WHERE event.contact_id = {}.id AND {}{})",
        scope.contact,
        matching_events(condition, scope),
        rest,
    )


def matching_events(condition: Did, scope: Scope) -> Sql:
    """What an event, as `event`, must be like; only whose it is stays open."""
    return all_of(
        [
            sql("event.name = {}", param(condition.event, "text")),
            Sql("event.type = 'track'"),
            *_window(condition.window, scope),
            *(_filter(one, scope) for one in condition.where),
        ]
    )


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
    return sql(
        "event.occurred_at >= {} AND event.received_at >= {}",
        param(instant, "timestamptz"),
        param(instant - CLOCK_LEAD, "timestamptz"),
    )


def _until(sign: str, instant: datetime) -> Sql:
    return sql(f"event.occurred_at {sign} {{}}", param(instant, "timestamptz"))


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
