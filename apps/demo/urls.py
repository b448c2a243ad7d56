"""Addresses of the demo shop, below /demo/."""

from django.urls import path

from apps.demo import views

app_name = "demo"

urlpatterns = [
    path("", views.show_catalog, name="catalog"),
    path("shelves/<slug:category>/", views.show_category, name="category"),
    path("products/<slug:slug>/", views.show_product, name="product"),
    path("products/<slug:slug>/add/", views.add_to_cart, name="cart-add"),
    path("cart/", views.show_cart, name="cart"),
    path("cart/restore/<str:token>/", views.restore_cart, name="cart-restore"),
    path("cart/<slug:slug>/", views.change_cart, name="cart-change"),
    path("checkout/", views.show_checkout, name="checkout"),
    path("checkout/review/", views.review_order, name="checkout-review"),
    path("order/", views.show_order, name="order"),
    path("privacy/", views.show_privacy, name="privacy"),
]
