"""What clients send: messages of the Segment specification, checked before they are accepted."""

import re
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from apps.contacts.blocked import NO_VALUES, is_blocked
from apps.contacts.services import normalize_email
from apps.core.pseudonyms import as_stored, hide_browser, hide_ip, is_hidden
from apps.events.models import new_message_id

SHARDS = 16

# Segment's limit for one event.
MAX_BYTES = 32 * 1024
MAX_DEPTH = 50
MAX_ID = 200
MAX_NUMBER = 2**64
MAX_MESSAGE_ID = 100
MAX_NAME = 200

# A \u0000 that isn't itself escaped: JSON allows it, PostgreSQL's text can't hold it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

Text = str | int | None
Object = dict[str, Any] | None


class Message(msgspec.Struct, rename="camel", kw_only=True):
    """The fields that we read; others are ignored, as the specification asks."""

    type: Literal["track", "identify", "page", "screen", "group", "alias"]
    message_id: Text = None
    user_id: Text = None
    anonymous_id: Text = None
    previous_id: Text = None
    contact_id: int | None = None
    event: Text = None
    name: Text = None
    properties: Object = None
    traits: Object = None
    context: Object = None
    timestamp: Any = None
    original_timestamp: Any = None
    sent_at: Any = None


SIGNATURE_FIELDS = ("identitySignature", "identity_signature")


class BadMessage(Exception):
    """The message can't be used. `reason` is stored and told to the client."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Unreadable:
    """A place in a batch that holds no JSON we can read."""

    reason: str
    text: str


@dataclass(slots=True)
class Checked:
    """One acknowledged message as the inbox keeps it."""

    message_id: str
    person_keys: list[str]
    shard: int
    payload: str


@dataclass(slots=True)
class Names:
    """Everything a message calls its person by; `blocked` are the fields that name nobody."""

    user_id: str | None
    anonymous_id: str | None
    previous_id: str | None
    email: str | None
    previous_user_id: str | None = None
    blocked: list[str] = field(default_factory=list)


_decode = msgspec.json.Decoder(Message).decode
_encode = msgspec.json.Encoder().encode


def decode(payload: str) -> Message:
    """Read a message that was checked once, from the inbox."""
    return _decode(payload)


def check(
    raw: object, *, is_internal: bool = False, is_secret: bool = False, is_stored: bool = False
) -> Checked:
    """Return what the inbox keeps of a message, or raise BadMessage.

    Only our own events may name the contact itself; from anybody else that field means nothing.
    A message that was stored before has its pseudonyms already.
    """
    if isinstance(raw, Unreadable):
        raise BadMessage(raw.reason)
    if not isinstance(raw, dict):
        raise BadMessage("not_an_object")
    if "contactId" in raw and not is_internal:
        raw = {name: value for name, value in raw.items() if name != "contactId"}
    if not is_stored:
        raw = hide_names(raw, is_secret=is_secret)
    payload = _serialize(raw)
    message = _convert(raw)
    names = read_names(message)
    keys = _person_keys(message, names)
    if not keys:
        raise BadMessage("no_identifier", "Give userId or anonymousId.")
    if message.type == "track":
        _check_event_name(message)
    return Checked(
        message_id=_read_message_id(message),
        person_keys=keys,
        shard=_shard(message, names, keys),
        payload=payload,
    )


def _shard(message: Message, names: Names, keys: list[str]) -> int:
    """A browser's events share one lane, before and after it is known whose they are."""
    browser = names.anonymous_id
    if message.type == "alias":
        # The browser that is handed over, so that nothing it does is worked in meanwhile.
        browser = names.previous_id or browser
    return zlib.crc32((f"a:{browser}" if browser else keys[0]).encode()) % SHARDS


def read_names(message: Message) -> Names:
    """Read the IDs of a message, leaving out what only looks like one."""
    traits = message.traits if message.type == "identify" else None
    previous_id = _read_id(message.previous_id, "previousId")
    context_traits = message.context.get("traits") if message.context else None
    email = traits.get("email") if traits else None
    if email is None and isinstance(context_traits, dict):
        email = context_traits.get("email")
    email = normalize_email(email) if email else None
    names = Names(
        user_id=_read_id(message.user_id, "userId"),
        anonymous_id=_read_id(message.anonymous_id, "anonymousId"),
        previous_id=as_stored(previous_id) if previous_id else None,
        email=None if email is None or is_blocked(email) else email,
        # What a browser says is hidden as soon as it comes in, so this is a server's word.
        previous_user_id=None if previous_id is None or is_hidden(previous_id) else previous_id,
    )
    told = (
        ("userId", message.user_id, names.user_id),
        ("email", email, names.email),
        ("anonymousId", message.anonymous_id, names.anonymous_id),
    )
    names.blocked = [name for name, value, read in told if value not in (None, "") and not read]
    return names


def read_signature(context: Object) -> str | None:
    """Read `context.cuepost.identitySignature`; all else that a client tells there is ignored."""
    told = context.get("cuepost") if context else None
    if not isinstance(told, dict):
        return None
    found = (told.get(field) for field in SIGNATURE_FIELDS)
    return next((text for text in found if isinstance(text, str) and text), None)


def hide_names(raw: dict[str, Any], *, is_secret: bool) -> dict[str, Any]:
    """Put pseudonyms in the place of a browser's IDs and its IP address, for all that we store.

    The `previousId` of a server stays until it is worked in: it may be a user ID.
    """
    hidden = dict(raw)
    for name in ("anonymousId",) if is_secret else ("anonymousId", "previousId"):
        _hide_id(hidden, name)
    context = raw.get("context")
    if isinstance(context, dict) and ("ip" in context or "traits" in context):
        hidden["context"] = context = dict(context)
        if isinstance(address := context.get("ip"), str) and address:
            context["ip"] = hide_ip(address)
        if isinstance(traits := context.get("traits"), dict) and "anonymousId" in traits:
            context["traits"] = dict(traits)
            _hide_id(context["traits"], "anonymousId")
    return hidden


def _hide_id(values: dict[str, Any], field: str) -> None:
    """Leave what is no ID, and what is too long for one: that is told where it is read."""
    value = values.get(field)
    is_number = type(value) is int and abs(value) < MAX_NUMBER
    if not isinstance(value, str) and not is_number:
        return
    text = str(value).strip()
    if len(text) <= MAX_ID and not is_blocked(text):
        values[field] = hide_browser(text)


def event_name(message: Message) -> str:
    """The name under which the log keeps a message; empty for the kinds that have none."""
    name = message.event if message.type == "track" else message.name
    return str(name).strip()[:MAX_NAME] if name is not None else ""


def _serialize(raw: dict[str, Any]) -> str:
    try:
        payload = _encode(raw)
    except RecursionError as problem:
        raise BadMessage("too_deep") from problem
    except (TypeError, ValueError, OverflowError) as problem:
        raise BadMessage("unreadable", type(problem).__name__) from problem
    if len(payload) > MAX_BYTES:
        raise BadMessage("too_large", f"An event may have {MAX_BYTES} bytes.")
    if b"\\u0000" in payload and _NUL.search(payload):
        raise BadMessage("null_character")
    if payload.count(b"{") + payload.count(b"[") > MAX_DEPTH and depth(raw) > MAX_DEPTH:
        raise BadMessage("too_deep", f"Objects may nest {MAX_DEPTH} deep.")
    return payload.decode()


def depth(value: object) -> int:
    """How deep objects nest, counted without recursion."""
    count, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        count += 1
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]
    return count


def _convert(raw: dict[str, Any]) -> Message:
    try:
        return msgspec.convert(raw, Message)
    except msgspec.ValidationError as problem:
        reason = (
            "unknown_type" if "$.type" in str(problem) or "`type`" in str(problem) else "wrong_type"
        )
        raise BadMessage(reason, str(problem)) from problem


def _read_id(value: Text, field: str) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    if is_blocked(text):
        return None
    if len(text) > MAX_ID:
        raise BadMessage("id_too_long", f"{field} may have {MAX_ID} characters.")
    return text


def _read_message_id(message: Message) -> str:
    text = str(message.message_id).strip() if message.message_id is not None else ""
    if text.lower() in NO_VALUES:
        # Taken as an ID, it would make one event of many.
        return new_message_id()
    if len(text) > MAX_MESSAGE_ID:
        raise BadMessage("id_too_long", f"messageId may have {MAX_MESSAGE_ID} characters.")
    return text


def _person_keys(message: Message, names: Names) -> list[str]:
    keys = []
    if names.user_id:
        keys.append(f"u:{names.user_id}")
    if names.anonymous_id:
        keys.append(f"a:{names.anonymous_id}")
    if names.previous_id:
        keys.append(f"a:{names.previous_id}")
    if names.previous_user_id:
        keys.append(f"u:{names.previous_user_id}")
    if names.email:
        keys.append(f"e:{names.email}")
    if message.contact_id:
        keys.append(f"c:{message.contact_id}")
    return keys


def _check_event_name(message: Message) -> None:
    name = "" if message.event is None else str(message.event).strip()
    if not name:
        raise BadMessage("no_event_name", "A track call needs its event.")
    if len(name) > MAX_NAME:
        raise BadMessage("name_too_long", f"An event name may have {MAX_NAME} characters.")
