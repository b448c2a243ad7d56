"""What surrounds every page of the admin."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from apps.core.signals import personal_data_accessed
from apps.core.viewing import MASK, SEE_PEOPLE, Viewing, viewed_by

# One try for each run of characters: a picture may be written into a page as one long word.
ADDRESS = re.compile(rb"(?<![\w.+-])[\w.+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
TEXT = re.compile(r"text/|application/(?:json|xml)")
SAFE = ("GET", "HEAD", "OPTIONS")
REFUSED = 400


class WatchPersonalData:
    """Masks people for staff who may not see them; tells the audit log what the others saw."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_admin = request.path_info.startswith(reverse("admin:index"))
        if not is_admin or not request.user.is_authenticated:
            return self.get_response(request)
        viewing = Viewing(is_masked=not request.user.has_perm(SEE_PEOPLE))
        with viewed_by(viewing):
            response = self.get_response(request)
        if viewing.is_masked:
            return _scrub(response, viewing)
        if viewing.kinds and response.status_code < REFUSED:
            _tell(request, viewing)
        return response

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> None:
        """Who can't see people changes nothing about them: half of it would be guesswork."""
        if request.method in SAFE or not hasattr(request, "user"):
            return
        page = getattr(view, "model_admin", None) or getattr(
            getattr(view, "__wrapped__", None), "__self__", None
        )
        if getattr(page, "is_about_people", False) and not request.user.has_perm(SEE_PEOPLE):
            raise PermissionDenied


def _scrub(response: HttpResponseBase, viewing: Viewing) -> HttpResponseBase:
    """Take out what looks like an address, wherever it came from: a text, a step, a file."""
    if isinstance(response, StreamingHttpResponse):
        response.streaming_content = _masked(iter(response), viewing)
    elif isinstance(response, HttpResponse) and TEXT.match(response.get("Content-Type", "")):
        response.content = ADDRESS.sub(MASK.encode(), response.content)
        if response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
    return response


def _masked(chunks: Iterator[Any], viewing: Viewing) -> Iterator[bytes]:
    """A file is made while it is sent, after the page's turn."""
    while True:
        with viewed_by(viewing):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield ADDRESS.sub(MASK.encode(), bytes(chunk))


def _tell(request: HttpRequest, viewing: Viewing) -> None:
    is_search = bool(request.GET.get("q") or request.GET.get("term"))
    kind = "change" if request.method not in SAFE else "search" if is_search else "view"
    personal_data_accessed.send(
        sender=WatchPersonalData,
        user=request.user,
        kind=kind,
        what=", ".join(sorted(viewing.kinds)),
        contact_ids=sorted(viewing.contact_ids),
        count=len(viewing.contact_ids),
        path=request.path_info,
        now=timezone.now(),
    )
