"""Where people say what they allow."""

from django.urls import path

from apps.consent import api, views

urlpatterns = [
    path("v1/signup/<slug:key>", api.SignupView.as_view(), name="signup-accept"),
    path("forms/<slug:key>", views.show_form, name="signup-form"),
    path("signup/sent/<str:token>", views.show_sent, name="signup-sent"),
    path("signup/confirm/<str:token>", views.confirm_signup, name="signup-confirm"),
    path("preferences/<str:token>", views.show_preferences, name="preferences"),
]
