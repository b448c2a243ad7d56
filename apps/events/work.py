"""An event on its way through a batch: from a row of the inbox to what is known of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from apps.contacts.services import Claim, Mode, find_present
from apps.events import messages, privacy, signatures
from apps.events.duplicates import Version
from apps.events.messages import Message
from apps.events.models import Source
from apps.events.privacy import Keep
from apps.events.validation import Fault

_MODES = {"identify": Mode.IDENTIFY, "alias": Mode.ALIAS}


@dataclass(slots=True)
class Item:
    """One row of the inbox."""

    id: int
    source_id: int
    is_secret: bool
    is_backfill: bool
    received_at: datetime
    message_id: str
    payload: str
    person_keys: list[str]


@dataclass(slots=True)
class Work:
    """An item on its way through the batch."""

    item: Item
    message: Message
    name: str
    said: dict[str, bool]
    claim: Claim
    is_consent_settled: bool = True
    keep: Keep = Keep.ALL
    contact_id: int | None = None
    is_named: bool = False
    notes: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    is_refused: bool = False
    natural_key: str | None = None
    version: Version | None = None

    @property
    def is_told(self) -> bool:
        """Whether it may be looked at as what somebody did."""
        return self.message.type == "track" and self.keep in (Keep.ALL, Keep.ESSENTIALS)

    @property
    def is_repeat(self) -> bool:
        """Whether another event has told it to the floors above, or tells it in its place."""
        version = self.version
        return version is not None and (version.duplicate_of is not None or version.has_been_seen)


def payload_of(item: Item) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.json.decode(item.payload)
    return payload


def read(item: Item, source: Source) -> Work:
    message = messages.decode(item.payload)
    names = messages.read_names(message)
    signature = None if item.is_secret else messages.read_signature(message.context)
    is_signed = (
        signature is not None
        and names.user_id is not None
        and signatures.is_valid(signature, user_id=names.user_id, source=source)
    )
    claim = Claim(
        mode=_MODES.get(message.type, Mode.TRACK),
        is_trusted=item.is_secret,
        user_id=names.user_id,
        email=names.email,
        anonymous_id=names.anonymous_id,
        previous_id=names.previous_id,
        previous_user_id=names.previous_user_id,
        traits=_traits(message) if message.type == "identify" else None,
        is_signed=is_signed,
    )
    remarks = [f"blocked {field}" for field in names.blocked]
    remarks += [signatures.WRONG] if signature and not is_signed else []
    name = messages.event_name(message)
    # Whoever brings history in answers for it; our own events are asked about where they arise.
    is_settled = source.is_consent_settled or source.is_internal or item.is_backfill
    return Work(
        item,
        message,
        name,
        privacy.preferences(message.context),
        claim,
        is_settled,
        remarks=remarks,
    )


def _traits(message: Message) -> dict[str, Any]:
    """An identify call's traits; RudderStack's clients put them into the context."""
    nested = (message.context or {}).get("traits")
    return {**(nested if isinstance(nested, dict) else {}), **(message.traits or {})}


def follow_merges(work: list[Work]) -> None:
    """Only our own events name the contact itself; meanwhile it may be gone, or be another one."""
    named = [one for one in work if one.message.contact_id]
    if not named:
        return
    present = find_present({one.message.contact_id or 0 for one in named})
    for one in named:
        one.is_named = True
        one.message.contact_id = present.get(one.message.contact_id or 0)


def reduce(one: Work) -> None:
    """Find who is meant without making, linking or changing anybody.

    So the order of somebody we know stops their reminder, and that of a stranger stays nobody's.
    """
    claim = one.claim
    is_wanted = one.item.is_secret and any(one.said.values())
    if is_wanted and (one.keep is Keep.ESSENTIALS or claim.mode is Mode.IDENTIFY):
        # Somebody who refuses tracking and asks for mail is a contact all the same.
        claim.may_link = False
    else:
        claim.mode = Mode.FIND
