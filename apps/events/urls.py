from django.urls import path, re_path

from apps.events import api, views

_KINDS = "|".join(api.KINDS)

urlpatterns = [
    re_path(rf"^v1/(?P<kind>{_KINDS})/?$", api.TrackingView.as_view(), name="event-accept"),
    path("v1/projects/<str:key>/settings", api.SettingsView.as_view(), name="source-settings"),
    path("track", views.track_pixel, name="event-pixel"),
    path("js/cuepost.js", views.browser_script, name="browser-script"),
]
