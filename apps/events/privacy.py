"""What may be kept of an event, and what it says about consent.

An event whose person refuses tracking is dropped, whether it says so itself or their consent does.
Two things remain: the statement about consent, and what a shop's server reports about an order,
which is needed for the order itself; that is kept without browser and context, and makes no contact
of somebody who was none. Of the others the log keeps that they came, and nothing else.

A refusal is taken from anybody, and only a server lifts that of a contact. The yes of a browser's
own banner counts for a browser that belongs to nobody: there it is the person's only voice. Of a
contact who refused elsewhere it proves nothing, so a shop's server has to repeat it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec
from django.db import connection

from apps.consent.models import ConsentRecord, Purpose, Status
from apps.consent.services import Statement

TRANSACTIONAL = frozenset({"Order Completed", "Order Updated", "Order Cancelled", "Order Refunded"})
MAX_EVIDENCE = 2000

_METHODS = frozenset(ConsentRecord.Method.values)
# What a person does to say yes; a call that names none of them may only repeat what a shop stores.
_ACTS = frozenset(
    {ConsentRecord.Method.FORM, ConsentRecord.Method.BANNER, ConsentRecord.Method.STAFF}
)
# What a browser can know of; that somebody wrote to staff or complained is not for it to say.
_BROWSER_ACTS = frozenset({ConsentRecord.Method.FORM, ConsentRecord.Method.BANNER})
_STATES = (
    "SELECT contact_id, purpose_id, status FROM consent_consentstate WHERE contact_id = ANY(%s)"
)

States = dict[tuple[int, str], str]


class Keep(Enum):
    """How much of an event is stored."""

    ALL = "all"
    ESSENTIALS = "essentials"
    NOTHING = "nothing"


def states_of(contact_ids: Iterable[int]) -> States:
    """What these contacts allow and refuse now."""
    with connection.cursor() as cursor:
        cursor.execute(_STATES, [list(contact_ids)])
        return {(contact_id, purpose): status for contact_id, purpose, status in cursor.fetchall()}


def preferences(context: Mapping[str, Any] | None) -> dict[str, bool]:
    """Read Segment's `context.consent.categoryPreferences`; only yes and no are statements."""
    found = _consent(context).get("categoryPreferences")
    if not isinstance(found, dict):
        return {}
    return {purpose: value for purpose, value in found.items() if isinstance(value, bool)}


def judge(*, said: Mapping[str, bool], state: str | None, name: str, is_secret: bool) -> Keep:
    """Say how much may be kept: by what a server's event says, else by the person's state too."""
    is_refused = state == Status.DENIED
    if is_secret:
        is_refused = not said.get(Purpose.TRACKING, not is_refused)
    if not is_refused and said.get(Purpose.TRACKING, True):
        return Keep.ALL
    return Keep.ESSENTIALS if is_secret and name in TRANSACTIONAL else Keep.NOTHING


def statements(
    *,
    contact_id: int,
    said: Mapping[str, bool],
    context: Mapping[str, Any] | None,
    is_secret: bool,
    source: str,
    said_at: datetime,
) -> list[Statement]:
    """Turn preferences into statements. A public key may take consent back, never give it.

    A yes is explicit only where the call tells by which act it was given, as
    `context.consent.method`: servers repeat what they have stored with every log-in.
    """
    consent = _consent(context)
    method = consent.get("method")
    is_method_told = isinstance(method, str) and method in (
        _METHODS if is_secret else _BROWSER_ACTS
    )
    wording = consent.get("wordingVersion") if is_secret or is_method_told else None
    return [
        Statement(
            contact_id=contact_id,
            purpose=purpose,
            status=Status.GRANTED if is_allowed else Status.DENIED,
            method=str(method) if is_method_told else ConsentRecord.Method.API.value,
            source=source,
            wording_version=wording if isinstance(wording, str) else "",
            evidence=_evidence(consent) if is_secret else {},
            is_explicit=(is_method_told and method in _ACTS) or not is_allowed,
            said_at=said_at,
        )
        for purpose, is_allowed in said.items()
        if is_secret or not is_allowed
    ]


def news(said: Iterable[Statement], states: States) -> list[Statement]:
    """Leave out the yes that repeats the state, as nearly all does.

    A repeated no stays: the ledger keeps the moment of the last one. After a change the ledger has
    to see everything, since it may not believe it.
    """
    found = []
    changed: set[tuple[int, str]] = set()
    for statement in said:
        key = (statement.contact_id, statement.purpose)
        is_repeated = statement.status == Status.GRANTED == states.get(key)
        if key in changed or not is_repeated:
            changed.add(key)
            found.append(statement)
    return found


def _consent(context: Mapping[str, Any] | None) -> dict[str, Any]:
    consent = context.get("consent") if context else None
    return consent if isinstance(consent, dict) else {}


def _evidence(consent: dict[str, Any]) -> dict[str, str]:
    """What the client tells besides the answer, as text: jsonb doesn't keep each digit."""
    told = {name: value for name, value in consent.items() if name != "categoryPreferences"}
    return {"told": msgspec.json.encode(told).decode()[:MAX_EVIDENCE]} if told else {}
