from django.urls import path

from apps.core import views

urlpatterns = [
    path("healthz", views.healthz, name="health-process"),
    path("readyz", views.readyz, name="health-ready"),
    path("api/schema/", views.api_schema, name="api-schema"),
    path("api/docs/", views.api_docs, name="api-docs"),
]
