"""Every address of the product, app by app."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("apps.core.urls")),
    path("", include("apps.events.urls")),
    path("", include("apps.consent.urls")),
    path("", include("apps.messaging.urls")),
    path("admin/", admin.site.urls),
]
if settings.ANYMAIL.get("WEBHOOK_SECRET"):
    # Without it, anybody could tell us that a mail bounced, and so silence an address.
    urlpatterns += [path("webhooks/esp/", include("anymail.urls"))]
if settings.DEMO:
    urlpatterns += [
        path("demo/", include("apps.demo.urls")),
        path("", RedirectView.as_view(pattern_name="demo:catalog")),
    ]
else:
    urlpatterns += [path("", RedirectView.as_view(pattern_name="admin:index"))]
