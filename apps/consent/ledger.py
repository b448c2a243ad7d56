"""The hash chain of consent records: how a record is sealed and how a chain is checked.

A record's own hash covers what lasts, the hash before it, and a salted hash of its personal part.
So that part can be forgotten and the chain still holds. Records of the first seal covered it
itself; once it is forgotten they are checked by what is left, sealed anew at that moment.
"""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from apps.consent.models import ConsentRecord

NEWEST_SEAL = 2

# The order is part of a seal's meaning. A record of a seal is checked by that seal for ever.
_FIRST = (
    "contact_id",
    "purpose_id",
    "status",
    "method",
    "source",
    "wording_version",
    "jurisdiction",
    "evidence",
    "recorded_at",
)
_LASTING = (
    "contact_id",
    "purpose_id",
    "topic_id",
    "status",
    "method",
    "wording_version",
    "wording_hash",
    "jurisdiction",
    "recorded_at",
)
_PERSONAL = ("source", "source_url", "ip_network", "user_agent", "evidence")


def seal(record: ConsentRecord) -> None:
    """Close a new record, whose content and hash before it are set."""
    record.seal_version = NEWEST_SEAL
    record.salt = secrets.token_hex(16)
    record.personal_hash = _personal_hash(record)
    record.record_hash = _record_hash(record)


def forget(record: ConsentRecord, now: datetime) -> None:
    """Empty the personal part; the hash of it stays, the salt that would let one guess it goes."""
    record.source = record.source_url = record.ip_network = record.user_agent = record.salt = ""
    record.evidence = {}
    record.forgotten_at = now
    if record.seal_version == 1:
        record.personal_hash = _remains_hash(record)


def faults(records: Iterable[ConsentRecord]) -> list[str]:
    """Name what is wrong with one contact's records, oldest first; empty when nothing is."""
    found = []
    previous_hash = ""
    for record in records:
        if record.previous_hash != previous_hash:
            found.append(f"Before record {record.pk} something is missing.")
        if not _is_whole(record):
            found.append(f"Record {record.pk} was changed.")
        previous_hash = record.record_hash
    return found


def _is_whole(record: ConsentRecord) -> bool:
    if record.seal_version == 1:
        if record.forgotten_at:
            return record.personal_hash == _remains_hash(record)
        return record.record_hash == _hash_of(record, _FIRST, record.previous_hash)
    if record.record_hash != _record_hash(record):
        return False
    if record.forgotten_at:
        return not any(getattr(record, name) for name in _PERSONAL)
    return record.personal_hash == _personal_hash(record)


def _record_hash(record: ConsentRecord) -> str:
    seals = {"seal_version": record.seal_version, "personal_hash": record.personal_hash}
    return _hash_of(record, _LASTING, record.previous_hash, **seals)


def _personal_hash(record: ConsentRecord) -> str:
    content: dict[str, Any] = {name: getattr(record, name) for name in _PERSONAL}
    return _sha256({**content, "salt": record.salt})


def _remains_hash(record: ConsentRecord) -> str:
    return _hash_of(record, _FIRST, record.previous_hash, record_hash=record.record_hash)


def _hash_of(record: ConsentRecord, names: Iterable[str], previous_hash: str, **more: Any) -> str:
    content: dict[str, Any] = {name: getattr(record, name) for name in names}
    recorded_at: datetime = content["recorded_at"]
    content["recorded_at"] = recorded_at.astimezone(UTC).isoformat(timespec="microseconds")
    return _sha256({**content, "previous_hash": previous_hash, **more})


def _sha256(content: dict[str, Any]) -> str:
    """SHA-256 (FIPS 180-4) over the canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
