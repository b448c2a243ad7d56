"""Taking in what consent platforms deliver: verified, each consent once, unusable ones told."""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db import transaction

from apps.consent import banners, frameworks, services
from apps.consent.facts import Trace
from apps.consent.models import CmpConnection, CmpReceipt, ConsentRecord, Status
from apps.consent.recording import Statement
from apps.contacts import services as contacts
from apps.contacts.services import Claim, Directory, Mode
from apps.core.clock import BadInstant, parse_instant
from apps.core.hashing import keyed_hash
from apps.core.pseudonyms import as_stored

MAX_CONSENTS = 1000
MAX_NAME = 200
# A platform that delivers again does so within days.
KEPT = timedelta(days=90)


class Unusable(ValueError):
    """One consent of a delivery can't be used; the text says why."""


class UnknownPlatform(Exception):
    """No active connection has this key, or the signature is not made with its secret."""


@dataclass(frozen=True)
class Told:
    """One consent, read."""

    claim: Claim
    said: dict[str, bool]
    said_at: datetime
    wording_version: str
    source_url: str
    evidence: dict[str, Any]


@dataclass
class Taken:
    """What became of a delivery; `refused` are places and reasons."""

    recorded: int = 0
    repeated: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def find_connection(*, key: str, body: bytes, signature: str) -> CmpConnection:
    """The connection whose secret has signed this body (HMAC-SHA256, hex). UnknownPlatform."""
    found = CmpConnection.objects.filter(key=key, is_active=True).first()
    # Also without one something is compared: the time tells nobody which keys exist.
    secret = found.secret if found else keyed_hash("cmp")
    made = hmac.new(secret.encode(), body, sha256).hexdigest()
    given = signature.strip().lower().removeprefix("sha256=")
    if not hmac.compare_digest(made.encode(), given.encode(errors="replace")) or found is None:
        raise UnknownPlatform("The signature does not fit.")
    return found


def rotate_secret(*, connection: CmpConnection) -> None:
    """Give it a new secret; what is signed with the old one is refused from now on."""
    connection.secret_version += 1
    connection.save(update_fields=["secret_version", "updated_at"])


@transaction.atomic
def take(*, connection: CmpConnection, items: Sequence[Any], now: datetime) -> Taken:
    """Record what is new in a delivery."""
    # One delivery of a platform after the other, so that a repeat finds what came before it.
    CmpConnection.objects.select_for_update().get(pk=connection.pk)
    taken, found = Taken(), []
    for index, item in enumerate(items):
        try:
            found.append((index, _receipt_of(item), _read(item, now)))
        except Unusable as problem:
            taken.refused.append((index, str(problem)))
    known = set(
        CmpReceipt.objects.filter(
            connection=connection, external_id__in=[receipt for _, receipt, _ in found]
        ).values_list("external_id", flat=True)
    )
    fresh: dict[str, tuple[int, Told]] = {}
    for index, receipt, told in found:
        if receipt in known or receipt in fresh:
            taken.repeated += 1
        else:
            fresh[receipt] = (index, told)
    _record(connection, list(fresh.values()), taken, now)
    CmpReceipt.objects.bulk_create(
        CmpReceipt(connection=connection, external_id=receipt, received_at=now) for receipt in fresh
    )
    return taken


def forget_receipts(*, now: datetime) -> int:
    count, _ = CmpReceipt.objects.filter(received_at__lte=now - KEPT).delete()
    return count


def _record(
    connection: CmpConnection, told: list[tuple[int, Told]], taken: Taken, now: datetime
) -> None:
    claims = [one.claim for _, one in told]
    resolutions = contacts.resolve(claims=claims, now=now, directory=Directory(claims))
    statements: list[Statement] = []
    for (index, one), resolution in zip(told, resolutions, strict=True):
        if resolution.contact_id is not None:
            statements += _statements(connection, resolution.contact_id, one)
            taken.recorded += 1
        elif _keep_anonymous(one, now):
            taken.recorded += 1
        else:
            taken.refused.append((index, "Nobody is known by this name, and nothing is allowed."))
    services.record_consents(statements=statements, now=now)


def _statements(connection: CmpConnection, contact_id: int, told: Told) -> list[Statement]:
    return [
        Statement(
            contact_id=contact_id,
            purpose=purpose,
            status=Status.GRANTED if is_allowed else Status.DENIED,
            method=ConsentRecord.Method.CMP,
            source=connection.name,
            source_url=told.source_url,
            wording_version=told.wording_version,
            evidence=told.evidence,
            said_at=told.said_at,
        )
        for purpose, is_allowed in told.said.items()
    ]


def _keep_anonymous(told: Told, now: datetime) -> bool:
    """A browser that is nobody's yet: kept like an answer to our own banner."""
    if not told.claim.anonymous_id:
        return False
    answer = {"choice": told.said, "anonymousId": told.claim.anonymous_id}
    try:
        banners.record_answer(told=answer, trace=Trace(source_url=told.source_url), now=now)
    except banners.BadAnswer:
        return False
    return True


# --- reading --------------------------------------------------------------------------------------


def _receipt_of(item: Any) -> str:
    """What tells one consent from another: the platform's ID, else all that it says."""
    if not isinstance(item, dict):
        raise Unusable("A consent must be an object.")
    named = item.get("id")
    whole = json.dumps(item, sort_keys=True)
    return keyed_hash(f"cmp:{named}" if named not in (None, "") else f"cmp:{whole}")


def _read(item: Mapping[str, Any], now: datetime) -> Told:
    said = _said(item)
    if not said:
        raise Unusable("It says yes or no to no purpose.")
    told = {name: value for name in ("id", "tcString") if (value := _text(item.get(name), 2000))}
    return Told(
        claim=_claim(item, may_make=any(said.values())),
        said=said,
        said_at=_said_at(item.get("givenAt"), now),
        wording_version=_text(item.get("wordingVersion"), 40),
        source_url=_text(item.get("url"), 500),
        evidence=told,
    )


def _said(item: Mapping[str, Any]) -> dict[str, bool]:
    """The platform's own words count more than what its signals mean."""
    given = item.get("preferences")
    told = given.items() if isinstance(given, dict) else ()
    own = {str(key): value for key, value in told if isinstance(value, bool)}
    return frameworks.read(item) | own


def _claim(item: Mapping[str, Any], *, may_make: bool) -> Claim:
    """Whom it is about. A no makes nobody a contact."""
    user_id = _text(item.get("userId"), MAX_NAME) or None
    browser = _text(item.get("anonymousId"), MAX_NAME)
    email = contacts.normalize_email(item.get("email"))
    if item.get("email") and email is None:
        raise Unusable("“email” is no e-mail address.")
    if not (user_id or email or browser):
        raise Unusable("It names nobody: give email, userId or anonymousId.")
    may_make = may_make and bool(user_id or email)
    return Claim(
        mode=Mode.IDENTIFY if may_make else Mode.FIND,
        is_trusted=True,
        user_id=user_id,
        email=email,
        anonymous_id=as_stored(browser) if browser else None,
        may_link=False,
    )


def _said_at(value: object, now: datetime) -> datetime:
    """When it was given; a time that is missing, unreadable or still to come is now."""
    try:
        return min(parse_instant(value), now) if isinstance(value, str) else now
    except BadInstant:
        return now


def _text(value: object, limit: int) -> str:
    return value[:limit] if isinstance(value, str) and value.isprintable() else ""
