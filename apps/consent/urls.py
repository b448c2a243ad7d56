"""Where people say what they allow."""

from django.urls import path

from apps.consent import api, selfservice, views

urlpatterns = [
    path("v1/signup/<slug:key>", api.SignupView.as_view(), name="signup-accept"),
    path("v1/banner", api.BannerView.as_view(), name="banner"),
    path("v1/banner/answers", api.BannerAnswerView.as_view(), name="banner-answer"),
    path("webhooks/cmp/<slug:key>/", api.CmpView.as_view(), name="cmp-webhook"),
    path("js/cuepost-banner.js", views.banner_script, name="banner-script"),
    path("forms/<slug:key>", views.show_form, name="signup-form"),
    path("signup/sent/<str:token>", views.show_sent, name="signup-sent"),
    path("signup/confirm/<str:token>", views.confirm_signup, name="signup-confirm"),
    path("privacy/ask/<str:token>", selfservice.ask, name="privacy-ask"),
    path("privacy/confirm/<str:token>", selfservice.confirm, name="privacy-confirm"),
    path("privacy/copy/<str:token>", selfservice.download, name="privacy-copy"),
    path("preferences/<str:token>", views.show_preferences, name="preferences"),
]
