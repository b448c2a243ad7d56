"""The short way for machines: what has no session and shows no page needs none of that."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve

# The tracking API and the pixel: they take no sessions and no forms, and answer JSON or a GIF.
PATHS = ("/v1/", "/track")

View = Callable[[HttpRequest], HttpResponseBase]


class ShortWay:
    """Hands these requests to their views at once, past the middleware that serves people.

    Sessions, log-in, form tokens and the content policy cost as much as storing an event.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PATHS):
            return self.get_response(request)
        request.resolver_match = match = resolve(request.path_info)
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response
