"""Who meets a condition: for all contacts, for some enrollments, and why."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Expression, F
from django.db.models.sql.compiler import SQLCompiler

from apps.contacts.models import Contact, ContactQuerySet
from apps.core.database import instant_array, number_array, text_array
from apps.segments.occurrences import matching_events
from apps.segments.references import load_segments, parts_of
from apps.segments.rendering import attribute_place, newest_consent, render
from apps.segments.scope import Scope
from apps.segments.sentences import describe
from apps.segments.sql import Sql, param, sql
from apps.segments.tree import AnyOf, Attribute, Condition, Consent, Did, InSegment, Not


@dataclass(frozen=True, slots=True)
class Subject:
    """An enrollment, or whatever else is asked about: who, since when, and what it is about."""

    key: int
    contact_id: int
    since: datetime | None = None
    entry_key: str = ""


def contacts_matching(condition: Condition, *, as_of: datetime) -> ContactQuerySet:
    """Everybody who meets the condition at that time; a queryset like any other. Whose data may be
    kept and not used isn't among them.

    Raises ConditionError where it names segments that can't be used, or speaks of an enrollment.
    """
    library = load_segments(condition)

    def write(contact: Sql) -> Sql:
        return render(condition, Scope(contact, as_of, as_of, library))

    write(Sql("contact"))
    return Contact.objects.present().filter(_Meets(write), restriction=None)


class _Meets(Expression):
    """A condition as an expression over the contacts of a query, whatever alias they have there."""

    def __init__(self, write: Callable[[Sql], Sql]) -> None:
        super().__init__(output_field=BooleanField())
        self.write = write
        self.key: Any = F("pk")

    def get_source_expressions(self) -> list[Any]:
        return [self.key]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        (self.key,) = exprs

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        piece = self.write(Sql(compiler.quote_name_unless_alias(self.key.alias)))
        return piece.text, piece.params


# A row for each subject; contacts that are gone drop out.
_SUBJECTS = """
FROM unnest({}, {}, {}, {}) AS subject (key, contact_id, since, entry_key)
JOIN contacts_contact AS contact ON contact.id = subject.contact_id AND contact.erased_at IS NULL
"""


def matching_pairs(
    condition: Condition,
    *,
    pairs: Sequence[Subject],
    as_of: datetime,
    seen_until: datetime | None = None,
) -> set[int]:
    """The keys of the subjects whose contacts meet the condition; one query for them all.

    Windows are counted from `as_of`. Whatever happened until `seen_until` is known by then: who
    decides right now lets it be a little later, since the clocks of events and machines differ.
    """
    if not pairs:
        return set()
    scope = _scope(condition, pairs, as_of, seen_until)
    query = sql("SELECT subject.key {} WHERE {}", _subjects(pairs), render(condition, scope))
    return {key for (key,) in _fetch(query)}


def _scope(
    condition: Condition,
    subjects: Sequence[Subject],
    as_of: datetime,
    seen_until: datetime | None = None,
) -> Scope:
    return Scope(
        contact=Sql("contact"),
        as_of=as_of,
        seen_until=seen_until or as_of,
        library=load_segments(condition),
        subject=Sql("subject"),
        earliest_since=min((one.since for one in subjects if one.since), default=None),
    )


def _subjects(subjects: Sequence[Subject]) -> Sql:
    return sql(
        _SUBJECTS,
        param(number_array(one.key for one in subjects), "bigint[]"),
        param(number_array(one.contact_id for one in subjects), "bigint[]"),
        param(instant_array(one.since for one in subjects), "timestamptz[]"),
        param(text_array(one.entry_key for one in subjects), "text[]"),
    )


def _fetch(query: Sql) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query.text, query.params)
        return list(cursor.fetchall())


# --- why ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of a condition, whether it holds for one contact, and what it was judged on."""

    sentence: str
    is_met: bool
    values: dict[str, Any] = field(default_factory=dict)
    parts: "tuple[Finding, ...]" = ()

    def as_values(self) -> dict[str, Any]:
        """As it is stored beside the decision that it led to."""
        told = {"condition": self.sentence, "is_met": self.is_met, **self.values}
        if self.parts:
            told["parts"] = [part.as_values() for part in self.parts]
        return told


def explain(
    condition: Condition,
    *,
    contact_id: int,
    as_of: datetime,
    since: datetime | None = None,
    entry_key: str = "",
) -> Finding:
    """Why one contact meets the condition or does not, part by part; one query.

    Raises Contact.DoesNotExist.
    """
    found = explain_pairs(condition, pairs=[Subject(0, contact_id, since, entry_key)], as_of=as_of)
    if not found:
        raise Contact.DoesNotExist
    return found[0]


def explain_pairs(
    condition: Condition,
    *,
    pairs: Sequence[Subject],
    as_of: datetime,
    seen_until: datetime | None = None,
) -> dict[int, Finding]:
    """Why each subject's contact meets the condition or does not; one query for them all.

    The answers are those of matching_pairs(), whose moments it takes; contacts that are gone drop
    out. It measures what the other only asks, so it is for those about whom something is decided.
    """
    if not pairs:
        return {}
    scope = _scope(condition, pairs, as_of, seen_until)
    leaves = list(_leaves(condition, scope))
    columns = sql(
        "".join(", coalesce({}, FALSE), {}" for _ in leaves),
        *(piece for leaf in leaves for piece in (render(leaf, scope), _value(leaf, scope))),
    )
    outline = _outline(condition, scope)
    rows = _fetch(sql("SELECT subject.key{} {}", columns, _subjects(pairs)))
    return {key: outline.read(iter(answers)) for key, *answers in rows}


def _leaves(condition: Condition, scope: Scope) -> Iterator[Attribute | Did | Consent]:
    if isinstance(condition, Attribute | Did | Consent):
        yield condition
    for part in _below(condition, scope):
        yield from _leaves(part, scope)


def _below(condition: Condition, scope: Scope) -> tuple[Condition, ...]:
    if isinstance(condition, InSegment):
        return (scope.library[condition.key],)
    return parts_of(condition)


def _value(leaf: Attribute | Did | Consent, scope: Scope) -> Sql:
    """What a leaf is judged on, as one JSON object."""
    if isinstance(leaf, Attribute):
        return sql("jsonb_build_object('value', {})", attribute_place(leaf.path, scope).whole)
    if isinstance(leaf, Consent):
        return newest_consent(
            leaf,
            scope,
            Sql(
                "jsonb_build_object('status', record.status, 'record', record.id,"
                " 'recorded_at', record.recorded_at)"
            ),
        )
    return sql(
        "(SELECT jsonb_build_object('count', count(*), 'last_at', max(event.occurred_at))"
        " FROM events_event AS event WHERE event.contact_id = contact.id AND {})",
        matching_events(leaf, scope),
    )


_JOINTS: dict[type, Callable[[list[bool]], bool]] = {AnyOf: any, Not: lambda met: not met[0]}


@dataclass(frozen=True, slots=True)
class _Outline:
    """A condition in words, found once, to be read with the answers for each subject."""

    kind: type
    sentence: str
    parts: "tuple[_Outline, ...]"

    def read(self, answers: Iterator[Any]) -> Finding:
        if self.kind in (Attribute, Did, Consent):
            is_met, values = next(answers), next(answers)
            return Finding(self.sentence, is_met, json.loads(values) if values else {})
        parts = tuple(part.read(answers) for part in self.parts)
        is_met = _JOINTS.get(self.kind, all)([part.is_met for part in parts])
        return Finding(self.sentence, is_met, parts=parts)


def _outline(condition: Condition, scope: Scope) -> _Outline:
    parts = tuple(_outline(part, scope) for part in _below(condition, scope))
    return _Outline(type(condition), describe(condition), parts)
