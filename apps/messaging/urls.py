"""The links in mails."""

from django.urls import path

from apps.messaging import views

urlpatterns = [
    path("e/o/<str:token>", views.open_pixel, name="message-open"),
    path("e/c/<str:token>", views.click, name="message-click"),
    path("e/u/<str:token>", views.unsubscribe, name="message-unsubscribe"),
]
