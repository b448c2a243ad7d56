"""Which pages may load and run what."""

from typing import Any

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

# The admin's pages are written with Alpine, which evaluates attributes, and with inline styles.
# Pictures may come from the shop.
ADMIN: dict[str, list[str]] = {
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:", "http:", "https:"],
}


class ContentPolicy(CSPMiddleware):
    """The strict policy of the settings everywhere, and the admin's own under its address alone."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> Any:
        parts = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith(reverse("admin:index")):
            parts.replace = {**ADMIN, **(parts.replace or {})}
        return parts
