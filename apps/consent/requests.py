"""Reading what people and machines send to the pages and endpoints of this floor."""

from typing import Any

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.http.request import QueryDict, RawPostDataException, UnreadablePostError

from apps.consent.facts import Entry, Trace

MAX_BYTES = 64 * 1024
# Only machines fill this in.
TRAP = "website"

_FAILURES = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)


class BadRequest(Exception):
    """The request can't be used; the text tells the client why."""


def read_body(request: HttpRequest, *, limit: int = MAX_BYTES) -> bytes:
    try:
        body = request.read(limit + 1)
    except (UnreadablePostError, RawPostDataException, OSError) as problem:
        raise BadRequest("The body could not be read.") from problem
    if len(body) > limit:
        raise BadRequest(f"A request may have {limit} bytes.")
    return body


def read_json(body: bytes) -> dict[str, Any]:
    """The one JSON object that a body holds, or BadRequest."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except _FAILURES as problem:
        raise BadRequest("The body must be one JSON object in UTF-8.") from problem


def read_items(body: bytes, name: str) -> list[Any]:
    """The list that a body is, or holds under this name; one object alone is a list of it."""
    try:
        read = msgspec.json.decode(body)
    except _FAILURES as problem:
        raise BadRequest("The body must be JSON in UTF-8.") from problem
    if isinstance(read, dict) and isinstance(read.get(name), list):
        read = read[name]
    if isinstance(read, dict):
        read = [read]
    if not isinstance(read, list):
        raise BadRequest(f"Send one object, a list, or an object with “{name}”.")
    return read


def read_post(request: HttpRequest) -> QueryDict:
    """What a form sent; a body that can't be read is an empty form."""
    try:
        return request.POST
    except (MultiPartParserError, SuspiciousOperation, UnreadablePostError):
        return QueryDict()


def entry_of_form(request: HttpRequest, told: QueryDict, texts: list[str]) -> Entry:
    """What a form sent. One without boxes asks for all that it offers."""
    topics = told.getlist("topics") if "topics" in told or "asks-topics" in told else None
    return Entry(
        email=told.get("email", ""),
        texts={name: told.get(name, "") for name in texts},
        topics=topics,
        trace=trace_of(request, told.get("source_url", "")),
    )


def entry_of_json(request: HttpRequest, told: dict[str, Any], texts: list[str]) -> Entry:
    topics = told.get("topics")
    if topics is not None and not isinstance(topics, list):
        raise BadRequest("“topics” must be a list.")
    return Entry(
        email=_text(told.get("email")),
        texts={name: _text(told.get(name)) for name in texts},
        topics=None if topics is None else [_text(topic) for topic in topics],
        trace=trace_of(request, _text(told.get("source_url"))),
    )


def trace_of(request: HttpRequest, source_url: str = "") -> Trace:
    """How it reached us."""
    return Trace(
        ip=request.META.get("REMOTE_ADDR", ""),
        agent=request.headers.get("User-Agent", ""),
        source_url=source_url or request.headers.get("Referer", ""),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
