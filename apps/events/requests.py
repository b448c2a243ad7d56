"""Reading what a tracking client sends: its key, its body, its messages."""

import base64
import json
import math
import re
import zlib
from typing import Any

import msgspec
from django.http import HttpRequest
from django.http.request import RawPostDataException, UnreadablePostError

from apps.events.messages import Unreadable

# Segment's limits for one request.
MAX_BYTES = 500 * 1024
MAX_EVENTS = 2500

_BOM = b"\xef\xbb\xbf"
_GZIP = 16 + zlib.MAX_WBITS
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SECRET = re.compile(rb"sk_[\w-]+")
_NAMES = re.compile(rb'"(anonymousId|previousId|ip)"\s*:\s*("[^"]*"?|\d+)')


class BadRequest(Exception):
    """The request can't be used; the text tells the client why."""

    status = 400


class Unauthorized(BadRequest):
    """No key, or one that no source has."""

    status = 401


class Envelope(msgspec.Struct, rename="camel"):
    """A batch: what holds for all its messages, and the messages, not read yet."""

    batch: list[msgspec.Raw]
    write_key: Any = None
    sent_at: Any = None
    context: Any = None


_read_envelope = msgspec.json.Decoder(Envelope).decode
_read_object = msgspec.json.Decoder(dict[str, Any]).decode
_FAILURES = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)


def read_body(request: HttpRequest) -> bytes:
    """Return the body, unpacked; never hold more than the limit of it, whatever it unpacks to."""
    try:
        body = request.read(MAX_BYTES + 1)
    except (UnreadablePostError, RawPostDataException, OSError) as problem:
        raise BadRequest("The body could not be read.") from problem
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding == "gzip" or (not encoding and body.startswith(b"\x1f\x8b")):
        body = _unpack(body)
    elif encoding not in ("", "identity"):
        raise BadRequest("Content-Encoding may be gzip or nothing.")
    if len(body) > MAX_BYTES:
        raise BadRequest(f"A request may have {MAX_BYTES} bytes.")
    return body.removeprefix(_BOM)


def read_message(body: bytes, kind: str) -> dict[str, Any]:
    """Read the one message of `/v1/track` and its like; the path says what it is."""
    message = _decode_object(body)
    message["type"] = kind
    return message


def read_batch(body: bytes) -> tuple[list[Any], object]:
    """Read the messages of a batch and the key beside them; one that is broken spoils no other."""
    try:
        envelope = _read_envelope(body)
    except _FAILURES as problem:
        if b"\\ud" not in body.lower():
            raise BadRequest(_explain(problem)) from problem
        envelope = _read_half_characters(body)
    if len(envelope.batch) > MAX_EVENTS:
        raise BadRequest(f"A batch may have {MAX_EVENTS} events.")
    messages = [_read_item(raw, envelope) for raw in envelope.batch]
    # Taken out of each event: the inbox and what is rejected are no place for a secret.
    keys = [one.pop("writeKey", None) for one in messages if isinstance(one, dict)]
    key = envelope.write_key
    return messages, next(iter(keys), None) if key is None else key


def read_pixel(request: HttpRequest) -> dict[str, str]:
    """Read a pixel's address, and on the site itself whose browser it is, once that is allowed.

    `cuepost_consent` and `cuepost_anonymous_id` are the cookies that cuepost.js keeps. A link from
    elsewhere brings them too, but only an image of a page of the site says that it is one.
    """
    told = request.GET.dict()
    headers, cookies = request.headers, request.COOKIES
    is_own = headers.get("Sec-Fetch-Site") in ("same-origin", "same-site")
    is_image = headers.get("Sec-Fetch-Dest") == "image"
    is_allowed = "tracking:1" in cookies.get("cuepost_consent", "").split(".")
    browser = cookies.get("cuepost_anonymous_id", "")
    if is_own and is_image and is_allowed and _UUID.fullmatch(browser):
        told.setdefault("anonymous_id", browser)
        told.setdefault("consent", "1")
    return told


def note_gpc(messages: list[Any]) -> None:
    """Write into each message of a browser that it sends the Global Privacy Control."""
    for message in messages:
        if not isinstance(message, dict):
            continue
        context = message.get("context")
        if context is None:
            context = message["context"] = {}
        if isinstance(context, dict):
            consent = context.get("consent")
            told = consent if isinstance(consent, dict) else {}
            context["consent"] = {**told, "gpc": True}


def has_gpc(request: HttpRequest) -> bool:
    """Whether the browser says on behalf of its person that their data must not be sold."""
    return request.headers.get("Sec-GPC") == "1"


def read_key(request: HttpRequest, told: object) -> str:
    """Return the write key from Basic authentication, else from the body, else from the address."""
    header = request.headers.get("Authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(value.strip(), validate=True).decode()
        except ValueError as problem:
            raise Unauthorized("The Authorization header can't be read.") from problem
        key = decoded.partition(":")[0]
    else:
        key = told if isinstance(told, str) else request.GET.get("writeKey", "")
    if not is_key(key):
        raise Unauthorized("Give a write key.")
    return key


def is_key(text: str) -> bool:
    """Whether this may be a key at all: not every text can be asked of the database."""
    return bool(text) and text.isprintable()


def _unpack(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacker.decompress(body, MAX_BYTES + 1)
    except zlib.error as problem:
        raise BadRequest("The body is not valid gzip.") from problem
    if len(unpacked) <= MAX_BYTES and not unpacker.eof:
        raise BadRequest("The body is not complete gzip.")
    return unpacked


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        return _read_object(body)
    except _FAILURES as problem:
        raise BadRequest(_explain(problem)) from problem


def _read_half_characters(body: bytes) -> Envelope:
    """Read a batch in which some text holds half of a surrogate pair, for the sake of the rest.

    The strict decoder gives such a body up as a whole; here only the events that hold one are lost.
    """
    try:
        read = json.loads(body, parse_constant=_Number, parse_float=_read_number)
        batch = [msgspec.Raw(_encode(item)) for item in read.pop("batch")]
        return msgspec.convert({**read, "batch": batch}, Envelope)
    except (*_FAILURES, AttributeError, KeyError, TypeError) as problem:
        raise BadRequest(_explain(problem)) from problem


def _encode(item: object) -> bytes:
    """Back to JSON; what can't be written as JSON becomes text that can't be read as JSON."""
    try:
        return msgspec.json.encode(item)
    except (UnicodeError, TypeError, RecursionError):
        return b"half a character or no number"


class _Number:
    """NaN or Infinity: no JSON, so no encoder takes it."""

    def __init__(self, text: str) -> None:
        self.text = text


def _read_number(text: str) -> float | _Number:
    number = float(text)
    return number if math.isfinite(number) else _Number(text)


def _read_item(raw: msgspec.Raw, envelope: Envelope) -> object:
    try:
        message = msgspec.json.decode(raw)
    except _FAILURES as problem:
        shown = _NAMES.sub(rb'"\1":"..."', _SECRET.sub(b"sk_...", bytes(raw)))[:500]
        return Unreadable("unreadable", f"{_explain(problem)} {shown!r}")
    if not isinstance(message, dict):
        return message
    if message.get("sentAt") is None and envelope.sent_at is not None:
        message["sentAt"] = envelope.sent_at
    if isinstance(envelope.context, dict):
        own = message.get("context")
        if own is None or isinstance(own, dict):
            # A signature is one person's; for a whole batch there is none.
            shared = {name: told for name, told in envelope.context.items() if name != "cuepost"}
            message["context"] = {**shared, **(own or {})}
    return message


def _explain(problem: Exception) -> str:
    if isinstance(problem, UnicodeError):
        return "The text is not UTF-8."
    if isinstance(problem, RecursionError):
        return "The JSON nests too deep."
    return f"The JSON can't be used: {problem}."
