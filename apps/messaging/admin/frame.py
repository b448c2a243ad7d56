"""The frame in which staff looks at a mail."""

from django.http import HttpResponse

from apps.messaging.preview import POLICY

_EMPTY = "<p style='font:16px sans-serif;color:#666'>There is nothing to show.</p>"


def frame(html: str) -> HttpResponse:
    """Answer a mail's HTML under a policy that allows nothing but pictures and styles."""
    response = HttpResponse(html or _EMPTY)
    response["Content-Security-Policy"] = POLICY
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Referrer-Policy"] = "no-referrer"
    return response
