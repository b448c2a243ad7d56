"""The Segment-compatible tracking API.

Answers follow Segment where its clients look at them: 200 with `{"success": true}` for what is
stored, 400 for bodies that are too large or no JSON (their clients drop those), 503 with
Retry-After while the database is away (their clients send again). A missing or unknown key is told
with 401, where Segment says nothing: its clients drop such events either way, and people see their
mistake.

The view does without DRF's parsers, negotiation and renderers: they cost more than the work itself.
"""

import logging
from typing import Any

import msgspec
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.events import requests, services

logger = logging.getLogger(__name__)

RETRY_AFTER = "5"
PREFLIGHT_AGE = "86400"

# The browser client's short paths stand for the same calls.
KINDS = {
    "track": "track", "t": "track",
    "identify": "identify", "i": "identify",
    "page": "page", "p": "page",
    "screen": "screen", "s": "screen",
    "group": "group", "g": "group",
    "alias": "alias", "a": "alias",
    "batch": "batch", "b": "batch", "import": "batch",
}  # fmt: skip


class LeanView(APIView):
    """A view for machines: any origin may call it, never with cookies, and JSON comes out."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Skip content negotiation: there is one kind of answer."""

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """Answer a preflight."""
        response = HttpResponse(status=204)
        response["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        response["Access-Control-Allow-Headers"] = (
            request.headers.get("Access-Control-Request-Headers") or "Authorization, Content-Type"
        )
        response["Access-Control-Max-Age"] = PREFLIGHT_AGE
        return response

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        if isinstance(exc, requests.BadRequest):
            return answer({"success": False, "error": str(exc)}, status=exc.status)
        if isinstance(exc, OperationalError | InterfaceError):
            logger.warning("The database took no event: %s.", type(exc).__name__)
            response = answer({"success": False, "error": "Please try again soon."}, status=503)
            response["Retry-After"] = RETRY_AFTER
            return response
        return super().handle_exception(exc)

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response["Access-Control-Allow-Origin"] = request.headers.get("Origin") or "*"
        patch_vary_headers(response, ["Origin"])
        return response

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return answer({"success": False, "error": "Use POST."}, status=405)


class TrackingView(LeanView):
    """Take one message, or a batch of them."""

    def post(self, request: Request, kind: str) -> HttpResponse:
        received_at = timezone.now()
        plain: HttpRequest = request._request
        body = requests.read_body(plain)
        is_batch = KINDS[kind] == "batch"
        if is_batch:
            messages, told = requests.read_batch(body)
        else:
            message = requests.read_message(body, KINDS[kind])
            messages, told = [message], message.pop("writeKey", None)
        found = services.find_source(requests.read_key(plain, told))
        if found is None:
            raise requests.Unauthorized("No active source has this write key.")
        source, is_secret = found
        # A server's own request says nothing about the browser of whom it speaks.
        is_gpc = requests.has_gpc(plain) and not is_secret
        if is_gpc:
            requests.note_gpc(messages)
        accepted = services.accept(
            source=source, is_secret=is_secret, messages=messages, received_at=received_at
        )
        return _report(accepted, is_batch=is_batch, is_gpc=is_gpc)


class SettingsView(LeanView):
    """What the official browser client asks before it sends anything."""

    def get(self, request: Request, key: str) -> HttpResponse:
        found = services.find_source(key) if requests.is_key(key) else None
        # A secret key has no place in an address, so none is known there.
        if found is None or found[1]:
            return answer({"success": False, "error": "No active source has this key."}, status=404)
        plain: HttpRequest = request._request
        segment: dict[str, Any] = {
            "apiKey": key,
            "apiHost": f"{plain.get_host()}/v1",
            "protocol": plain.scheme,
            "unbundledIntegrations": [],
            "addBundledMetadata": True,
            "maybeBundledConfigIds": {},
            "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
        }
        settings = {
            "integrations": {"Segment.io": segment},
            "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
            "edgeFunction": {},
            "analyticsNextEnabled": True,
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "metrics": {"sampleRate": 0},
            "legacyVideoPluginsEnabled": False,
            "remotePlugins": [],
        }
        response = answer({**settings, **_gpc(requests.has_gpc(plain))})
        response["Cache-Control"] = "public, max-age=60"
        patch_vary_headers(response, ["Sec-GPC"])
        return response


def answer(content: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return HttpResponse(
        msgspec.json.encode(content), content_type="application/json", status=status
    )


def _gpc(is_sent: bool) -> dict[str, str]:
    """The confirmation that a browser's signal was heeded, for the page to show."""
    return {"gpc": "honored"} if is_sent else {}


def _report(accepted: services.Accepted, *, is_batch: bool, is_gpc: bool) -> HttpResponse:
    if not accepted.rejected:
        return answer({"success": True, **_gpc(is_gpc)})
    if not is_batch:
        return answer({"success": False, "error": accepted.rejected[0][1]}, status=400)
    rejected = [{"index": index, "reason": reason} for index, reason in accepted.rejected]
    return answer({"success": True, "rejected": rejected, **_gpc(is_gpc)})
