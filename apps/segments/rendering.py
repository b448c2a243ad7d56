"""Conditions as SQL over one row of contacts.

Every piece is TRUE where the condition holds; where it does not, it is FALSE or NULL, which WHERE
reads alike. Negations are carried down to the leaves, where they become NOT EXISTS and the like:
PostgreSQL makes joins of those, but not of a NOT around a whole group.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from apps.segments.occurrences import did, doers, is_one_sided
from apps.segments.operands import TEXT_COLUMNS, TIME_COLUMNS
from apps.segments.operators import Place, json_place, operator_sql, text_place, time_place
from apps.segments.references import parts_of
from apps.segments.scope import Scope
from apps.segments.sql import Sql, all_of, any_of, param, sql
from apps.segments.tree import (
    AllOf,
    AnyOf,
    Attribute,
    Condition,
    Consent,
    Did,
    InSegment,
    Not,
    Path,
)


def render(condition: Condition, scope: Scope, *, is_wanted: bool = True) -> Sql:
    """The condition, or with `is_wanted=False` its opposite."""
    return _RENDERERS[type(condition)](condition, scope, is_wanted)


def _not(condition: Not, scope: Scope, is_wanted: bool) -> Sql:
    return render(condition.part, scope, is_wanted=not is_wanted)


def _in_segment(condition: InSegment, scope: Scope, is_wanted: bool) -> Sql:
    return render(scope.library[condition.key], scope, is_wanted=is_wanted)


# --- groups ---------------------------------------------------------------------------------------


def _group(condition: AllOf | AnyOf, scope: Scope, is_wanted: bool) -> Sql:
    parts = condition.parts
    if isinstance(condition, AllOf) is is_wanted:
        return all_of(render(part, scope, is_wanted=is_wanted) for part in parts)
    if scope.subject is not None or not any(_asks_more(part, scope) for part in parts):
        return any_of(render(part, scope, is_wanted=is_wanted) for part in parts)
    return _one_of(parts, scope, is_wanted)


def _one_of(parts: tuple[Condition, ...], scope: Scope, is_wanted: bool) -> Sql:
    """One of these, over all contacts. PostgreSQL can't join an OR of subqueries, but it can join
    a union of them; and where a part holds for nearly everybody, those for whom none does."""
    inner = replace(scope, contact=Sql("contact"))
    if any(_is_common(part, scope, is_wanted) for part in parts):
        none_hold = all_of(render(part, inner, is_wanted=not is_wanted) for part in parts)
        others = _ids(none_hold)
        return sql(
            "NOT EXISTS (SELECT FROM ({}) AS other WHERE other.id = {}.id)", others, scope.contact
        )
    plain = [part for part in parts if not _asks_more(part, scope)]
    members = [_members(part, inner, is_wanted) for part in parts if part not in plain]
    if plain:
        holds = any_of(render(part, inner, is_wanted=is_wanted) for part in plain)
        members.append(_ids(holds))
    return sql(
        f"EXISTS (SELECT FROM ({' UNION '.join('{}' for _ in members)}) AS one"
        " WHERE one.id = {}.id)",
        *members,
        scope.contact,
    )


def _members(part: Condition, scope: Scope, is_wanted: bool) -> Sql:
    if isinstance(part, Did) and is_one_sided(part) is not is_wanted:
        return sql("({})", doers(part, scope))
    return _ids(render(part, scope, is_wanted=is_wanted))


def _ids(holds: Sql) -> Sql:
    return sql("SELECT contact.id FROM contacts_contact AS contact WHERE {}", holds)


def _asks_more(condition: Condition, scope: Scope) -> bool:
    """Whether more than the contact's own row has to be read."""
    if isinstance(condition, InSegment):
        return _asks_more(scope.library[condition.key], scope)
    if isinstance(condition, Did | Consent):
        return True
    return any(_asks_more(part, scope) for part in parts_of(condition))


def _is_common(condition: Condition, scope: Scope, is_wanted: bool) -> bool:
    """Whether it is about what people did not do, which is nearly everybody."""
    match condition:
        case Did():
            return is_one_sided(condition) is is_wanted
        case Not():
            return _is_common(condition.part, scope, not is_wanted)
        case InSegment():
            return _is_common(scope.library[condition.key], scope, is_wanted)
        case AllOf() | AnyOf():
            commons = [_is_common(part, scope, is_wanted) for part in condition.parts]
            return all(commons) if isinstance(condition, AllOf) is is_wanted else any(commons)
        case _:
            return False


# --- contacts -------------------------------------------------------------------------------------


def attribute_place(path: Path, scope: Scope) -> Place:
    """Where an attribute of the contact stands."""
    if len(path) == 1 and path[0] in TEXT_COLUMNS:
        return text_place(sql(f"{{}}.{path[0]}", scope.contact))
    if len(path) == 1 and path[0] in TIME_COLUMNS:
        return time_place(sql(f"{{}}.{path[0]}", scope.contact))
    return json_place(sql("{}.attributes", scope.contact), path)


def _attribute(condition: Attribute, scope: Scope, is_wanted: bool) -> Sql:
    place = attribute_place(condition.path, scope)
    holds = operator_sql(condition.test, place, entry_key=scope.entry_key(condition.test))
    return holds if is_wanted else sql("({}) IS NOT TRUE", holds)


def newest_consent(condition: Consent, scope: Scope, columns: Sql) -> Sql:
    """These columns of the last record about this purpose until then, as a scalar subquery."""
    return sql(
        "(SELECT {} FROM consent_consentrecord AS record"
        " WHERE record.contact_id = {}.id AND record.purpose_id = {}"
        " AND record.topic_id IS NULL AND record.recorded_at <= {}"
        " ORDER BY record.id DESC LIMIT 1)",
        columns,
        scope.contact,
        param(condition.purpose, "text"),
        param(scope.seen_until, "timestamptz"),
    )


def _consent(condition: Consent, scope: Scope, is_wanted: bool) -> Sql:
    """The state answers for all who have not changed their mind since; the records for the rest."""
    holds = sql(
        "EXISTS (SELECT FROM consent_consentstate AS state"
        " WHERE state.contact_id = {}.id AND state.purpose_id = {} AND state.topic_id IS NULL"
        " AND CASE WHEN state.changed_at <= {} THEN state.status ELSE {} END = {})",
        scope.contact,
        param(condition.purpose, "text"),
        param(scope.seen_until, "timestamptz"),
        newest_consent(condition, scope, Sql("record.status")),
        param(condition.status, "text"),
    )
    return holds if is_wanted is condition.is_wanted else sql("NOT {}", holds)


_RENDERERS: dict[type, Callable[[Any, Scope, bool], Sql]] = {
    AllOf: _group,
    AnyOf: _group,
    Not: _not,
    InSegment: _in_segment,
    Attribute: _attribute,
    Consent: _consent,
    Did: did,
}
