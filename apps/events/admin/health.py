"""The page that says how tracking is doing."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from apps.core.backoffice import PageAdmin
from apps.events import health


class HealthPages(PageAdmin):
    """Numbers of thirty days, and what should alarm somebody."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.health_view)
        return [path("health/", view, name="events_eventdefinition_health"), *super().get_urls()]

    def health_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            "title": "Tracking health",
            "heading": "Tracking health",
            "health": health.read(timezone.now()),
        }
        return self.render(request, "admin/events/health.html", context)
