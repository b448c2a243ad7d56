"""What may be kept of an event, and what it says about consent.

An event whose person refuses tracking is dropped, whether it says so itself or their consent does.
So is one that says nothing where a yes is needed: neither the person has given one, nor does their
law wait for a no, nor is consent settled at its source. By a setting such events are kept without
anybody, to be counted.

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
from django.conf import settings
from django.db import connection

from apps.consent import frameworks, policy
from apps.consent.models import ConsentRecord, Purpose, Status
from apps.consent.services import Statement

TRANSACTIONAL = frozenset({"Order Completed", "Order Updated", "Order Cancelled", "Order Refunded"})
MAX_EVIDENCE = 2000

_METHODS = frozenset(ConsentRecord.Method.values)
# What a person does to say yes; a call that names none of them may only repeat what a shop stores.
_ACTS = frozenset(
    {
        ConsentRecord.Method.FORM,
        ConsentRecord.Method.BANNER,
        ConsentRecord.Method.CMP,
        ConsentRecord.Method.DOUBLE_OPT_IN,
        ConsentRecord.Method.PREFERENCE_CENTER,
        ConsentRecord.Method.STAFF,
    }
)
# What a browser can know of; that somebody wrote to staff or complained is not for it to say.
_BROWSER_ACTS = frozenset(
    {ConsentRecord.Method.FORM, ConsentRecord.Method.BANNER, ConsentRecord.Method.CMP}
)
# What is kept of an event that is nobody's: what it was about, and nothing that leads to anybody.
_COUNTED = frozenset(
    {"product_id", "sku", "category", "name", "brand", "variant", "price", "quantity", "currency"}
)
# An ID that no contact has: how somebody is judged of whom nothing is known.
_NOBODY = 0
_STATES = (
    "SELECT contact_id, coalesce(topic_id, purpose_id), status FROM consent_consentstate"
    " WHERE contact_id = ANY(%s)"
)

_GPC = ConsentRecord.Method.GPC

States = dict[tuple[int, str], str]


class Keep(Enum):
    """How much of an event is stored."""

    ALL = "all"
    ESSENTIALS = "essentials"
    COUNT = "count"
    NOTHING = "nothing"


def states_of(contact_ids: Iterable[int]) -> States:
    """What these contacts allow and refuse now, by purpose and by topic."""
    with connection.cursor() as cursor:
        cursor.execute(_STATES, [list(contact_ids)])
        return {(contact_id, purpose): status for contact_id, purpose, status in cursor.fetchall()}


def preferences(context: Mapping[str, Any] | None) -> dict[str, bool]:
    """Read Segment's `context.consent.categoryPreferences`; only yes and no are statements.

    Beside them a consent platform's `tcString` and `googleConsentMode` are understood.

    A browser that sends the Global Privacy Control refuses that its person's data is sold.
    """
    consent = _consent(context)
    found = consent.get("categoryPreferences")
    told = found.items() if isinstance(found, dict) else ()
    said = {purpose: value for purpose, value in told if isinstance(value, bool)}
    if "tcString" in consent or "googleConsentMode" in consent:
        said = frameworks.read(consent) | said
    if consent.get("gpc") is True:
        said[Purpose.SALE_OR_SHARING] = False
    return said


def may_track(contact_ids: Iterable[int | None], now: datetime) -> dict[int | None, bool]:
    """Whether these people's events may be kept though they say nothing; None is a stranger."""
    asked = {pk: pk or _NOBODY for pk in contact_ids}
    decisions = policy.decide(contacts=set(asked.values()), purpose=Purpose.TRACKING, at=now)
    return {pk: decisions[stand_in].is_allowed for pk, stand_in in asked.items()}


def countable(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What of an event's properties names a product and nobody."""
    return {
        name: value
        for name, value in properties.items()
        if name in _COUNTED and isinstance(value, str | int | float)
    }


def judge(
    *,
    said: Mapping[str, bool],
    state: str | None,
    name: str,
    is_secret: bool,
    is_silence_enough: bool = True,
) -> Keep:
    """Say how much may be kept: by what a server's event says, else by the person's state too."""
    is_refused = state == Status.DENIED
    if is_secret:
        is_refused = not said.get(Purpose.TRACKING, not is_refused)
    if not is_refused and said.get(Purpose.TRACKING, is_silence_enough):
        return Keep.ALL
    if is_secret and name in TRANSACTIONAL:
        return Keep.ESSENTIALS
    return Keep.COUNT if settings.TRACKING_WITHOUT_CONSENT == "anonymous" else Keep.NOTHING


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
    method = str(method) if is_method_told else ConsentRecord.Method.API.value
    wording = _text(consent.get("wordingVersion")) if is_secret or is_method_told else ""
    traces = _traces(context)
    return [
        Statement(
            contact_id=contact_id,
            purpose=purpose,
            status=Status.GRANTED if is_allowed else Status.DENIED,
            method=ConsentRecord.Method.GPC.value if _is_gpc(purpose, consent) else method,
            source=source,
            wording_version=wording,
            evidence=_evidence(consent) if is_secret else {},
            is_explicit=(is_method_told and method in _ACTS) or not is_allowed,
            said_at=said_at,
            **traces,
        )
        for purpose, is_allowed in said.items()
        if is_secret or not is_allowed
    ]


def news(said: Iterable[Statement], states: States) -> list[Statement]:
    """Leave out the yes that repeats the state, as nearly all does.

    A repeated no stays: the ledger keeps the moment of the last one. But a browser with the Global
    Privacy Control says its no with each event. After a change the ledger has to see everything,
    since it may not believe it.
    """
    found = []
    changed: set[tuple[int, str]] = set()
    for statement in said:
        key = (statement.contact_id, statement.purpose)
        may_repeat = statement.status == Status.GRANTED or statement.method == _GPC
        is_repeated = may_repeat and statement.status == states.get(key)
        if key in changed or not is_repeated:
            changed.add(key)
            found.append(statement)
    return found


def _consent(context: Mapping[str, Any] | None) -> dict[str, Any]:
    consent = context.get("consent") if context else None
    return consent if isinstance(consent, dict) else {}


def _is_gpc(purpose: str, consent: dict[str, Any]) -> bool:
    return purpose == Purpose.SALE_OR_SHARING and consent.get("gpc") is True


def _traces(context: Mapping[str, Any] | None) -> dict[str, str]:
    """Where it was said; the address of the browser is a pseudonym by now and says nothing."""
    context = context or {}
    page = context.get("page")
    url = page.get("url") if isinstance(page, dict) else ""
    return {"source_url": _text(url), "user_agent": _text(context.get("userAgent"))}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _evidence(consent: dict[str, Any]) -> dict[str, str]:
    """What the client tells besides the answer, as text: jsonb doesn't keep each digit."""
    told = {name: value for name, value in consent.items() if name != "categoryPreferences"}
    return {"told": msgspec.json.encode(told).decode()[:MAX_EVIDENCE]} if told else {}
