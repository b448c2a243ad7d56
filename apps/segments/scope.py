"""What a condition is asked of: whom, when, and with which segments."""

from dataclasses import dataclass
from datetime import datetime

from apps.segments.operands import ConditionError
from apps.segments.references import Library
from apps.segments.sql import FALSE, Sql, sql
from apps.segments.tree import Comparison, Var


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
