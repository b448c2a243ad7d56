"""What pages and mails load: the pixel and the browser script."""

import base64
import logging

from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.core.scripts import serve_script
from apps.events import requests, services

logger = logging.getLogger(__name__)

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


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
    """cuepost.js as browsers load it; `make snippet` packs it."""
    return serve_script(request, "cuepost.min.js")
