"""The hash chain of consent records: how a record is sealed and how a chain is checked."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec

from apps.consent.models import ConsentRecord

# The order is part of the seal's meaning; a later field goes to the end, only where it is set.
_SEALED = (
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


def seal(record: ConsentRecord) -> str:
    """Return SHA-256 (FIPS 180-4) over the canonical JSON of the record and the hash before it."""
    content: dict[str, Any] = {name: getattr(record, name) for name in _SEALED}
    recorded_at: datetime = content["recorded_at"]
    content["recorded_at"] = recorded_at.astimezone(UTC).isoformat(timespec="microseconds")
    content["previous_hash"] = record.previous_hash
    canonical = msgspec.json.encode(content, order="deterministic")
    return hashlib.sha256(canonical).hexdigest()


def faults(records: list[ConsentRecord]) -> list[str]:
    """Name what is wrong with one contact's records, oldest first; empty when nothing is."""
    found = []
    previous_hash = ""
    for record in records:
        if record.previous_hash != previous_hash:
            found.append(f"Before record {record.pk} something is missing.")
        if record.record_hash != seal(record):
            found.append(f"Record {record.pk} was changed.")
        previous_hash = record.record_hash
    return found
