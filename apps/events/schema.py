"""The tracking API as OpenAPI describes it: written down here, since its views read by themselves.

drf-spectacular asks `describe()` when somebody wants `/api/schema/`.
"""

from typing import Any

from apps.events.messages import MAX_BYTES, MAX_ID, MAX_MESSAGE_ID, MAX_NAME
from apps.events.requests import MAX_BYTES as MAX_REQUEST
from apps.events.requests import MAX_EVENTS

Schema = dict[str, Any]

TAGS = ["tracking"]
SECURITY: list[Schema] = [{"writeKeyAsUser": []}, {"writeKeyInQuery": []}, {}]

SUMMARIES = {
    "track": "What somebody did",
    "identify": "Who somebody is",
    "page": "A page that was seen",
    "screen": "A screen of an app that was seen",
    "group": "A group that somebody belongs to",
    "alias": "A second ID of the same person",
}
REQUIRED = {"track": ["event"], "alias": ["previousId"]}


def describe(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Add the tracking API to a schema; a hook of drf-spectacular."""
    result["info"].setdefault("description", _INTRODUCTION)
    paths = {f"/v1/{kind}": {"post": _call(kind)} for kind in SUMMARIES}
    paths["/v1/batch"] = {"post": _batch()}
    paths["/v1/projects/{key}/settings"] = {"get": _settings()}
    paths["/track"] = {"get": _pixel()}
    result["paths"] = {**paths, **result.get("paths", {})}
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(_schemas())
    components.setdefault("securitySchemes", {}).update(_SECURITY)
    return result


def leave_out_own_descriptions(endpoints: list[Any], **_: Any) -> list[Any]:
    """Only the management API is described by its views; a hook of drf-spectacular."""
    return [
        one for one in endpoints if one[0].startswith("/api/") and not one[0].endswith("/schema/")
    ]


_INTRODUCTION = (
    "Cuepost understands Segment's tracking API, so Segment's own clients work with it. Each call "
    "needs a write key: as the user name of Basic authentication, as `writeKey` in the body, or as "
    "`writeKey` in the address. A public key may be in a browser, a secret one stays on a server. "
    "Bodies may be gzipped. The short paths of the browser client (`/v1/t`, `/v1/i` …) do the same."
)

_SECURITY: Schema = {
    "writeKeyAsUser": {
        "type": "http",
        "scheme": "basic",
        "description": "The write key is the user name; the password is empty.",
    },
    "writeKeyInQuery": {"type": "apiKey", "in": "query", "name": "writeKey"},
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _body(schema: Schema) -> Schema:
    # Browsers send text/plain with sendBeacon; what is in it is JSON all the same.
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _answer(text: str, schema: Schema) -> Schema:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _refusals() -> Schema:
    refusal = _ref("Refusal")
    return {
        "400": _answer("The body can't be used; the text says why.", refusal),
        "401": _answer("No active source has this write key.", refusal),
        "503": _answer("Please try again soon.", refusal),
    }


def _call(kind: str) -> Schema:
    return {
        "operationId": kind,
        "summary": SUMMARIES[kind],
        "tags": TAGS,
        "security": SECURITY,
        "requestBody": _body(_ref(kind.capitalize())),
        "responses": {"200": _answer("It is stored.", _ref("Accepted")), **_refusals()},
    }


def _batch() -> Schema:
    return {
        "operationId": "batch",
        "summary": f"Up to {MAX_EVENTS} calls in {MAX_REQUEST // 1024} KB",
        "description": "What can't be used is told by its place; all the rest is stored.",
        "tags": TAGS,
        "security": SECURITY,
        "requestBody": _body(_ref("Batch")),
        "responses": {"200": _answer("It is stored.", _ref("BatchAccepted")), **_refusals()},
    }


def _settings() -> Schema:
    key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": "settings",
        "summary": "What Segment's browser client asks first",
        "tags": TAGS,
        "security": [{}],
        "parameters": [{**key, "description": "A public write key."}],
        "responses": {
            "200": _answer("The settings.", {"type": "object"}),
            "404": _answer("No active source has this key.", _ref("Refusal")),
        },
    }


def _pixel() -> Schema:
    texts = {
        "event": "The name of the event; without it nothing is stored.",
        "key": "A public write key; without one the oldest active source counts.",
        "user_id": "Whom it is about, by the shop's ID.",
        "anonymous_id": "Whom it is about, by the browser's ID.",
        "message_id": "The same event sent twice counts once.",
    }
    return {
        "operationId": "pixel",
        "summary": "An event as the address of a picture",
        "description": "All other parameters become properties of the event.",
        "tags": TAGS,
        "security": [{}],
        "parameters": [
            {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
            for name, text in texts.items()
        ],
        "responses": {
            "200": {
                "description": "A transparent picture, whatever happens.",
                "content": {"image/gif": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    }


def _schemas() -> Schema:
    success = {"success": {"type": "boolean"}, "gpc": {"type": "string"}}
    calls = {kind.capitalize(): _message(kind) for kind in SUMMARIES}
    rejected = {
        "type": "object",
        "properties": {"index": {"type": "integer"}, "reason": {"type": "string"}},
        "required": ["index", "reason"],
    }
    return {
        **calls,
        "Batch": {
            "type": "object",
            "properties": {
                "batch": {
                    "type": "array",
                    "maxItems": MAX_EVENTS,
                    "items": {"oneOf": [_in_batch(kind) for kind in SUMMARIES]},
                },
                "writeKey": {"type": "string"},
                "sentAt": _TIME,
                "context": {"type": "object"},
            },
            "required": ["batch"],
        },
        "Accepted": {"type": "object", "properties": success, "required": ["success"]},
        "BatchAccepted": {
            "type": "object",
            "properties": {**success, "rejected": {"type": "array", "items": rejected}},
            "required": ["success"],
        },
        "Refusal": {
            "type": "object",
            "properties": {"success": {"type": "boolean"}, "error": {"type": "string"}},
            "required": ["success", "error"],
        },
    }


def _id(text: str, length: int = MAX_ID) -> Schema:
    return {
        "description": text,
        "nullable": True,
        "oneOf": [{"type": "string", "maxLength": length}, {"type": "integer"}],
    }


_TIME = {"type": "string", "format": "date-time"}
_OBJECT = {"type": "object", "nullable": True}


def _message(kind: str) -> Schema:
    fields: Schema = {
        "userId": _id("The ID in your shop; this or anonymousId."),
        "anonymousId": _id("The browser's ID; it is stored as a keyed hash."),
        "messageId": _id("The same event sent twice counts once.", MAX_MESSAGE_ID),
        "context": {**_OBJECT, "description": "Where it happened, and consent."},
        "timestamp": {**_TIME, "description": "When it happened, by the client's clock."},
        "sentAt": {**_TIME, "description": "When it was sent, by the same clock."},
        "writeKey": {"type": "string"},
    }
    if kind == "track":
        fields["event"] = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
    if kind in ("page", "screen"):
        fields["name"] = {"type": "string"}
    if kind in ("track", "page", "screen"):
        fields["properties"] = _OBJECT
    if kind in ("identify", "group"):
        fields["traits"] = _OBJECT
    if kind == "alias":
        fields["previousId"] = _id("The ID that is theirs as well.")
    schema: Schema = {
        "type": "object",
        "description": f"At most {MAX_BYTES // 1024} KB. Other fields are ignored.",
        "properties": fields,
    }
    return {**schema, "required": REQUIRED[kind]} if kind in REQUIRED else schema


def _in_batch(kind: str) -> Schema:
    told = {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": [kind]}},
        "required": ["type"],
    }
    return {"allOf": [_ref(kind.capitalize()), told]}
