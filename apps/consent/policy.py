"""The one place that answers "may we?".

A contact's jurisdiction says for each purpose whether it needs a yes first or goes until a no. A
no counts everywhere. Where nobody knows where somebody lives, and where there is no rule, a yes is
needed.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.consent.models import JurisdictionRule, Status
from apps.contacts.models import Contact

NO_CONSENT = "no_consent"
CONSENT_WITHDRAWN = "consent_withdrawn"
CONSENT_EXPIRED = "consent_expired"
TOPIC_REFUSED = "topic_refused"

# On what an allowance rests.
CONSENT = "consent"
OPT_OUT = "opt_out"

# A worker reads its clock before it asks. What the ledger took in meanwhile counts already, so that
# a withdrawal made a second ago stops the mail that is about to leave.
CLOCK_GRACE = timedelta(minutes=1)

# Where a contact lives: by state, by country, else as the record notes it, else nobody knows.
_PLACE = """
LEFT JOIN LATERAL (
    SELECT contact.country || '-' || upper(trim(coalesce(
        contact.attributes ->> 'state', contact.attributes ->> 'region',
        contact.attributes #>> '{address,state}', contact.attributes #>> '{address,region}'
    ))) AS code
) AS region ON true
LEFT JOIN LATERAL (
    SELECT key, is_fallback FROM consent_jurisdiction
    WHERE region.code = ANY(regions) OR contact.country = ANY(countries)
        OR contact.country = '' AND key = record.jurisdiction OR is_fallback
    ORDER BY is_fallback, region.code = ANY(regions) DESC NULLS LAST, key LIMIT 1
) AS place ON true
"""

# The newest record until that moment: the state now and any earlier one by the same question.
_NEWEST = f"""
SELECT person.id, place.key, coalesce(rule.mode, 'opt_in'),
    record.id, record.status, record.method, record.recorded_at,
    record.recorded_at + make_interval(months => purpose.validity_months) <= %(asked_at)s,
    choice.id, choice.status
FROM unnest(%(contacts)s::bigint[]) AS person (id)
LEFT JOIN contacts_contact AS contact ON contact.id = person.id
LEFT JOIN consent_purpose AS purpose ON purpose.key = %(purpose)s
LEFT JOIN LATERAL (
    SELECT id, status, method, recorded_at, jurisdiction FROM consent_consentrecord
    WHERE contact_id = person.id AND purpose_id = %(purpose)s AND topic_id IS NULL
        AND recorded_at <= %(at)s
    ORDER BY id DESC LIMIT 1
) AS record ON true
-- choice
{_PLACE}
LEFT JOIN consent_jurisdictionrule AS rule
    ON rule.jurisdiction_id = place.key AND rule.purpose_id = %(purpose)s
"""  # noqa: S608 -- nothing but text of ours

_CHOICE = """
LEFT JOIN LATERAL (
    SELECT id, status FROM consent_consentrecord
    WHERE contact_id = person.id AND topic_id = %(topic)s AND recorded_at <= %(at)s
    ORDER BY id DESC LIMIT 1
) AS choice ON true
"""
_NO_CHOICE = "CROSS JOIN (SELECT NULL::bigint AS id, NULL::text AS status) AS choice"
# Planning takes longer than the answer, so what nobody asks is left out.
_OF_PURPOSE = _NEWEST.replace("-- choice", _NO_CHOICE)
_OF_TOPIC = _NEWEST.replace("-- choice", _CHOICE)

_JURISDICTIONS = f"""
SELECT contact.id, place.key
FROM contacts_contact AS contact
CROSS JOIN (SELECT ''::text AS jurisdiction) AS record
{_PLACE}
WHERE contact.id = ANY(%s) AND NOT place.is_fallback
"""  # noqa: S608 -- nothing but text of ours


@dataclass(frozen=True)
class Decision:
    """May we, why not, the record that settles it, and on what an allowance rests."""

    is_allowed: bool
    reason: str = ""
    record_id: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    basis: str = ""


def decide(
    *, contacts: Collection[int], purpose: str, at: datetime, topic: str | None = None
) -> dict[int, Decision]:
    """Judge a purpose, or one topic of it, for many contacts as it stood at that moment."""
    parameters = {
        "contacts": list(contacts),
        "purpose": purpose,
        "topic": topic,
        "at": at + CLOCK_GRACE,
        "asked_at": at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OF_PURPOSE if topic is None else _OF_TOPIC, parameters)
        rows = [_Finding(*row) for row in cursor.fetchall()]
    return {row.contact_id: _judge(row, purpose, topic) for row in rows}


def allows(contact: Contact, purpose: str, at: datetime, topic: str | None = None) -> Decision:
    """Judge a purpose for one contact."""
    return decide(contacts=[contact.pk], purpose=purpose, at=at, topic=topic)[contact.pk]


def jurisdictions_of(contacts: Collection[int]) -> dict[int, str]:
    """The jurisdictions of those contacts of whom it is known where they live."""
    with connection.cursor() as cursor:
        cursor.execute(_JURISDICTIONS, [list(contacts)])
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is known about one contact and the purpose."""

    contact_id: int
    jurisdiction: str | None
    mode: str
    record_id: int | None
    status: str | None
    method: str | None
    recorded_at: datetime | None
    is_expired: bool | None
    choice_id: int | None
    choice: str | None


def _judge(found: _Finding, purpose: str, topic: str | None) -> Decision:
    values: dict[str, Any] = {
        "purpose": purpose,
        "jurisdiction": found.jurisdiction or "",
        "rule": found.mode,
    }
    if found.recorded_at is not None:
        values |= {
            "status": found.status,
            "method": found.method,
            "recorded_at": found.recorded_at.isoformat(),
        }
    if topic is not None:
        values |= {"topic": topic, "topic_status": found.choice or ""}
    if found.status == Status.DENIED:
        return Decision(False, CONSENT_WITHDRAWN, found.record_id, values)
    if found.choice == Status.DENIED:
        return Decision(False, TOPIC_REFUSED, found.choice_id, values)
    if found.status == Status.GRANTED and not found.is_expired:
        return Decision(True, "", found.record_id, {**values, "basis": CONSENT}, CONSENT)
    if found.mode == JurisdictionRule.Mode.OPT_OUT:
        return Decision(True, "", None, {**values, "basis": OPT_OUT}, OPT_OUT)
    if found.status == Status.GRANTED:
        return Decision(False, CONSENT_EXPIRED, found.record_id, values)
    return Decision(False, NO_CONSENT, None, values)
