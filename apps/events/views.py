"""What pages and mails load: the pixel and the browser script."""

import base64
import logging
from pathlib import Path

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError, InterfaceError
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.http import http_date
from django.views.decorators.http import require_safe
from django.views.static import was_modified_since

from apps.events import requests, services

logger = logging.getLogger(__name__)

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
SCRIPT = Path(settings.BASE_DIR) / "static" / "public" / "cuepost.js"


def track_pixel(request: HttpRequest) -> HttpResponse:
    """`GET /track?event=cart_abandonment&user_id=XYZ`: store what can be, answer a GIF always."""
    try:
        if request.method == "GET":
            parameters = requests.read_pixel(request)
            services.accept_pixel(parameters=parameters, received_at=timezone.now())
    except (DatabaseError, InterfaceError, SuspiciousOperation) as problem:
        logger.warning("The pixel stored nothing: %s.", type(problem).__name__)
    response = HttpResponse(GIF, content_type="image/gif")
    response["Cache-Control"] = "no-store, private"
    return response


@require_safe
def browser_script(request: HttpRequest) -> HttpResponseBase:
    """cuepost.js at an address that any site may load and that never changes."""
    changed_at = int(SCRIPT.stat().st_mtime)
    response: HttpResponseBase
    if was_modified_since(request.headers.get("If-Modified-Since"), changed_at):
        response = FileResponse(SCRIPT.open("rb"), content_type="text/javascript; charset=utf-8")
    else:
        response = HttpResponseNotModified()
    response["Last-Modified"] = http_date(changed_at)
    response["Cache-Control"] = "public, max-age=3600"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
