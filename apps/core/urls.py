from django.urls import path

from apps.core import views

urlpatterns = [
    path("healthz", views.healthz, name="health-process"),
    path("readyz", views.readyz, name="health-ready"),
]
