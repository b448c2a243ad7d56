"""Days by which the laws want an answer."""

from datetime import date

import pytest

from apps.consent.deadlines import due_on


@pytest.mark.parametrize(
    ("law", "kind", "received", "is_extended", "due"),
    [
        # A Monday a month later.
        ("gdpr", "export", date(2026, 3, 13), False, date(2026, 4, 13)),
        # The 28th of February 2026 is a Saturday: the Monday after.
        ("gdpr", "export", date(2026, 1, 31), False, date(2026, 3, 2)),
        # A leap year has the 29th, a Tuesday.
        ("gdpr", "erase", date(2028, 1, 31), False, date(2028, 2, 29)),
        ("gdpr", "export", date(2026, 12, 15), False, date(2027, 1, 15)),
        # Three months in all.
        ("gdpr", "export", date(2026, 3, 13), True, date(2026, 6, 15)),
        ("ccpa", "export", date(2026, 1, 1), False, date(2026, 2, 15)),
        ("ccpa", "erase", date(2026, 1, 1), True, date(2026, 4, 1)),
        # Fifteen business days after a Friday.
        ("ccpa", "opt_out", date(2026, 1, 2), False, date(2026, 1, 23)),
    ],
)
def test_due_on(law, kind, received, is_extended, due):
    assert due_on(law=law, kind=kind, received_on=received, is_extended=is_extended) == due
