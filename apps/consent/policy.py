"""The one place that answers "may we?"."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.consent.models import Status
from apps.contacts.models import Contact

NO_CONSENT = "no_consent"
CONSENT_WITHDRAWN = "consent_withdrawn"

# A worker reads its clock before it asks. What the ledger took in meanwhile counts already, so that
# a withdrawal made a second ago stops the mail that is about to leave.
CLOCK_GRACE = timedelta(minutes=1)

# The newest record until that moment: the state now and any earlier one by the same question.
_NEWEST = """
SELECT person.id, record.id, record.status, record.method, record.recorded_at
FROM unnest(%s::bigint[]) AS person (id)
CROSS JOIN LATERAL (
    SELECT id, status, method, recorded_at FROM consent_consentrecord
    WHERE contact_id = person.id AND purpose_id = %s AND recorded_at <= %s
    ORDER BY id DESC LIMIT 1
) AS record
"""


@dataclass(frozen=True)
class Decision:
    """May we, why not, and the record that settles it."""

    is_allowed: bool
    reason: str = ""
    record_id: int | None = None
    values: dict[str, Any] = field(default_factory=dict)


def decide(*, contacts: Collection[int], purpose: str, at: datetime) -> dict[int, Decision]:
    """Judge a purpose for many contacts by the strictest rule: only a newest “granted” allows."""
    nothing = Decision(False, NO_CONSENT, None, {"purpose": purpose})
    decisions = dict.fromkeys(contacts, nothing)
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [list(contacts), purpose, at + CLOCK_GRACE])
        for contact_id, record_id, status, method, recorded_at in cursor.fetchall():
            values = {
                "purpose": purpose,
                "status": status,
                "method": method,
                "recorded_at": recorded_at.isoformat(),
            }
            is_allowed = status == Status.GRANTED
            reason = "" if is_allowed else CONSENT_WITHDRAWN
            decisions[contact_id] = Decision(is_allowed, reason, record_id, values)
    return decisions


def allows(contact: Contact, purpose: str, at: datetime) -> Decision:
    """Judge a purpose for one contact."""
    return decide(contacts=[contact.pk], purpose=purpose, at=at)[contact.pk]
