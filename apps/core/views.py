"""What load balancers and monitors ask."""

from datetime import timedelta

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.core import selectors

MAX_LAG = timedelta(minutes=5)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Database, broker, and how far inbox, engine and outbox are behind; 503 without a database.

    A broker that is away and work that is behind are told. They are no reason to take this server
    out: events are accepted and people unsubscribe all the same.
    """
    try:
        lags = selectors.measure_lags(now=timezone.now())
    except DatabaseError as problem:
        return JsonResponse({"status": "down", "database": type(problem).__name__}, status=503)
    is_behind = any(lag.oldest_age > MAX_LAG for lag in lags.values())
    body = {
        "status": "behind" if is_behind else "ok",
        "database": "ok",
        "broker": selectors.ask_broker(),
        **{
            name: {"due": lag.due_count, "oldest_seconds": round(lag.oldest_age.total_seconds(), 1)}
            for name, lag in lags.items()
        },
    }
    return JsonResponse(body)


@require_safe
def api_schema(request: HttpRequest) -> HttpResponseBase:
    """What machines may ask of us, as OpenAPI."""
    from drf_spectacular.views import (  # noqa: PLC0415 -- seldom asked for, and large
        SpectacularAPIView,
    )

    return SpectacularAPIView.as_view()(request)


@require_safe
@csp_update({"style-src": [UNSAFE_INLINE], "img-src": ["data:"]})
def api_docs(request: HttpRequest) -> HttpResponseBase:
    """The same to read; its program comes from us, and its styles are written into the page."""
    from drf_spectacular.views import (  # noqa: PLC0415 -- seldom asked for, and large
        SpectacularSwaggerSplitView,
    )

    return SpectacularSwaggerSplitView.as_view(url_name="api-schema")(request)
