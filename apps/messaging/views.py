"""The public links in a mail: the open pixel, clicks and unsubscribing."""

import base64
import logging
from uuid import UUID

from django.core.exceptions import SuspiciousOperation
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from apps.consent.models import ConsentRecord
from apps.contacts import services as contacts
from apps.core import tokens
from apps.core.wording import masked
from apps.messaging import links, reading, services

logger = logging.getLogger(__name__)

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@never_cache
@require_safe
def open_pixel(request: HttpRequest, token: str) -> HttpResponse:
    """Answer a 1×1 GIF, always; note the open if the token is ours."""
    try:
        public_id = UUID(tokens.read(links.OPEN, token))
    except tokens.BadToken:
        return HttpResponse(PIXEL, content_type="image/gif")
    if request.method == "GET":
        try:
            services.record_open(
                public_id=public_id, now=timezone.now(), client=_client_of(request)
            )
        except DatabaseError as problem:
            logger.warning("An open was not recorded (%s).", type(problem).__name__)
    return HttpResponse(PIXEL, content_type="image/gif")


@never_cache
@require_safe
def click(request: HttpRequest, token: str) -> HttpResponse:
    """Lead on to the signed address and nowhere else, even while the database is down."""
    try:
        public_id, target = tokens.read(links.CLICK, token)
    except tokens.BadToken:
        return _not_valid(request)
    if request.method == "GET":
        try:
            services.record_click(public_id=UUID(public_id), target=target, now=timezone.now())
        except DatabaseError as problem:
            logger.warning("A click was not recorded (%s).", type(problem).__name__)
    return HttpResponseRedirect(target)


@never_cache
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button and changes nothing; POST unsubscribes, from there or from a mail program.

    A mail program posts without cookies, `List-Unsubscribe=One-Click` in the body (RFC 8058).
    """
    try:
        contact_uuid, public_id = (UUID(part) for part in tokens.read(links.UNSUBSCRIBE, token))
    except tokens.BadToken:
        return _not_valid(request)
    if request.method == "POST":
        method = ConsentRecord.Method
        services.unsubscribe(
            contact_uuid=contact_uuid,
            public_id=public_id,
            method=method.UNSUBSCRIBE_PAGE if _is_from_page(request) else method.ONE_CLICK,
            now=timezone.now(),
        )
        return render(request, "public/unsubscribed.html")
    contact = contacts.find_by_uuid(contact_uuid)
    address = masked(contact.email or "") if contact else ""
    return render(request, "public/unsubscribe.html", {"address": address})


def _client_of(request: HttpRequest) -> str:
    return reading.client_of(
        ip=request.META.get("REMOTE_ADDR", ""),
        user_agent=request.headers.get("User-Agent", ""),
        headers=request.headers,
    )


def _is_from_page(request: HttpRequest) -> bool:
    """Whether our own button was pressed; a body that can't be read is a mail program's."""
    try:
        return "from-page" in request.POST
    except (MultiPartParserError, SuspiciousOperation, UnreadablePostError):
        return False


def _not_valid(request: HttpRequest) -> HttpResponse:
    return render(request, "public/link_not_valid.html", status=404)
