"""The pages of the demo shop."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core import tokens
from apps.demo import cart as carts
from apps.demo import catalog, ecommerce, services
from apps.demo.forms import CheckoutForm, QuantityForm
from apps.demo.visitor import Customer, read_visitor

CUSTOMER_KEY = "demo_customer"
ORDER_KEY = "demo_order"
REPORTS_KEY = "demo_reports"


@require_GET
def show_catalog(request: HttpRequest) -> HttpResponse:
    products = list(catalog.all_products())
    report = ecommerce.product_list_viewed("All", products, base_url=_base_url(request))
    return _render(request, "catalog", {"products": products}, report)


@require_GET
def show_category(request: HttpRequest, category: str) -> HttpResponse:
    shelf = next((each for each in catalog.all_categories() if each.slug == category), None)
    if shelf is None:
        raise Http404("No such shelf.")
    products = catalog.products_in(shelf.name)
    report = ecommerce.product_list_viewed(shelf.name, products, base_url=_base_url(request))
    return _render(request, "catalog", {"products": products, "shelf": shelf}, report)


@require_GET
def show_product(request: HttpRequest, slug: str) -> HttpResponse:
    product = _get_product(slug)
    neighbors = [each for each in catalog.products_in(product.category) if each != product]
    context = {
        "product": product,
        "neighbors": neighbors,
        "quantities": range(1, carts.MAX_QUANTITY + 1),
    }
    report = ecommerce.product_viewed(product, base_url=_base_url(request))
    return _render(request, "product", context, report)


@require_POST
def add_to_cart(request: HttpRequest, slug: str) -> HttpResponse:
    product = _get_product(slug)
    form = QuantityForm(request.POST)
    if form.is_valid():
        before = carts.load_cart(request.session).quantity_of(product)
        _set_quantity(request, product, before + form.cleaned_data["quantity"])
    return redirect("demo:cart")


@require_POST
def change_cart(request: HttpRequest, slug: str) -> HttpResponse:
    form = QuantityForm(request.POST)
    if form.is_valid():
        _set_quantity(request, _get_product(slug), form.cleaned_data["quantity"])
    return redirect("demo:cart")


@require_GET
def show_cart(request: HttpRequest) -> HttpResponse:
    cart = carts.load_cart(request.session)
    context = {"quantities": range(1, carts.MAX_QUANTITY + 1)}
    if not cart.lines:
        return _render(request, "cart", context)
    report = ecommerce.cart_viewed(cart, base_url=_base_url(request))
    return _render(request, "cart", context, report)


@require_GET
def restore_cart(request: HttpRequest, token: str) -> HttpResponse:
    """Bring a cart back into an empty-handed browser: where the button of a reminder leads."""
    try:
        kept = tokens.read(ecommerce.CART_TOKEN, token)
    except tokens.BadToken as problem:
        raise Http404(str(problem)) from problem
    if not carts.load_cart(request.session).lines:
        carts.store_cart(request.session, kept["id"], kept["quantities"])
    return redirect("demo:cart")


@require_http_methods(["GET", "POST"])
def show_checkout(request: HttpRequest) -> HttpResponse:
    cart = carts.load_cart(request.session)
    if not cart.lines:
        return redirect("demo:cart")
    form = CheckoutForm(request.POST or None, initial=request.session.get(CUSTOMER_KEY))
    if form.is_valid():
        customer = form.customer()
        request.session[CUSTOMER_KEY] = customer.as_data()
        services.begin_checkout(
            customer=customer,
            cart=cart,
            visitor=read_visitor(request.COOKIES),
            base_url=_base_url(request),
            now=timezone.now(),
        )
        return redirect("demo:checkout-review")
    report = ecommerce.checkout_started(cart, base_url=_base_url(request))
    return _render(request, "checkout", {"form": form}, report)


@require_http_methods(["GET", "POST"])
def review_order(request: HttpRequest) -> HttpResponse:
    cart = carts.load_cart(request.session)
    details = request.session.get(CUSTOMER_KEY)
    if not cart.lines or not details:
        return redirect("demo:checkout" if cart.lines else "demo:cart")
    if request.method == "GET":
        return _render(request, "review", {"customer": details})
    order_id = services.place_order(
        customer=Customer(**details),
        cart=cart,
        visitor=read_visitor(request.COOKIES),
        base_url=_base_url(request),
        now=timezone.now(),
    )
    # Whose order it was is not remembered.
    request.session[ORDER_KEY] = {
        "id": order_id,
        "total": cart.total_text,
        "lines": [[line.quantity, line.product.name] for line in cart.lines],
    }
    carts.clear_cart(request.session)
    del request.session[CUSTOMER_KEY]
    return redirect("demo:order")


@require_GET
def show_order(request: HttpRequest) -> HttpResponse:
    order = request.session.get(ORDER_KEY)
    return _render(request, "order", {"order": order}) if order else redirect("demo:catalog")


@require_GET
def show_privacy(request: HttpRequest) -> HttpResponse:
    return _render(request, "privacy", {})


def _render(
    request: HttpRequest, page: str, context: dict[str, Any], *reports: ecommerce.Report
) -> HttpResponse:
    """Render a page of the shop, with what the browser should report from it."""
    waiting = request.session.pop(REPORTS_KEY, []) if REPORTS_KEY in request.session else []
    source = services.find_source()
    shop = {
        "cart": carts.load_cart(request.session),
        "categories": catalog.all_categories(),
        "public_key": source.public_key if source else "",
        "reports": [*waiting, *(report.as_data() for report in reports)],
    }
    return render(request, f"demo/{page}.html", shop | context)


def _set_quantity(request: HttpRequest, product: catalog.Product, quantity: int) -> None:
    """Change the cart, and have the next page report it: a redirect runs no script."""
    before = carts.load_cart(request.session).quantity_of(product)
    cart = carts.set_quantity(request.session, product, quantity)
    changes = ecommerce.quantity_changed(product, before, cart, base_url=_base_url(request))
    waiting = request.session.get(REPORTS_KEY, [])
    request.session[REPORTS_KEY] = [*waiting, *(report.as_data() for report in changes)]


def _get_product(slug: str) -> catalog.Product:
    try:
        return catalog.get_product(slug)
    except catalog.NoSuchProduct as problem:
        raise Http404("The shop does not sell this.") from problem


def _base_url(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"
