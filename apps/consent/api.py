"""Endpoints for websites and consent platforms: signing up, the banner, exports."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.consent import banners, links, platforms, requests, signups
from apps.consent.models import SignupForm

PREFLIGHT_AGE = "86400"
RETRY_AFTER = "3600"
SIGNATURE = "X-Cuepost-Signature"
MAX_EXPORT = 1024 * 1024
THANKS = "Thank you. If there is something left to confirm, a mail is on its way."
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class WebsiteView(APIView):
    """A view for scripts on other websites: no cookies, JSON comes out."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Skip content negotiation: there is one kind of answer."""

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """Answer a preflight."""
        response = HttpResponse(status=204)
        response["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        response["Access-Control-Allow-Headers"] = "Content-Type, Accept"
        response["Access-Control-Max-Age"] = PREFLIGHT_AGE
        return response

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        if isinstance(exc, requests.BadRequest):
            return refusal(str(exc), status=400)
        return super().handle_exception(exc)

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response["Access-Control-Allow-Origin"] = request.headers.get("Origin") or "*"
        patch_vary_headers(response, ["Origin"])
        return response

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return refusal("This address does not take that method.", status=405)


class SignupView(WebsiteView):
    """Ask to be written to. JSON gets JSON; a plain HTML form is led to the form's own page."""

    def post(self, request: Request, key: str) -> HttpResponse:
        plain: HttpRequest = request._request
        form = SignupForm.objects.filter(key=key).first()
        if form is None:
            return refusal("There is no form of this key.", status=404)
        if not signups.may_come_from(form, plain.headers.get("Origin", "")):
            return refusal("This form does not take sign-ups from this website.", status=403)
        is_form = plain.content_type in FORM_TYPES
        if is_form and "application/json" not in plain.headers.get("Accept", ""):
            # The page reads the same body: 307 keeps it.
            response = HttpResponseRedirect(reverse("signup-form", args=[key]))
            response.status_code = 307
            return response
        return self._sign_up(plain, form, is_form=is_form)

    def _sign_up(self, plain: HttpRequest, form: SignupForm, *, is_form: bool) -> HttpResponse:
        if is_form:
            posted = requests.read_post(plain)
            entry = requests.entry_of_form(plain, posted, form.extra_fields)
            is_trapped = bool(posted.get(requests.TRAP))
        else:
            told = requests.read_json(requests.read_body(plain))
            entry = requests.entry_of_json(plain, told, form.extra_fields)
            is_trapped = bool(told.get(requests.TRAP))
        try:
            uuid = signups.sign_up_or_pretend(
                form=form, entry=entry, is_trapped=is_trapped, now=timezone.now()
            )
        except signups.BadEntry as problem:
            return JsonResponse({"success": False, "errors": problem.problems}, status=400)
        except signups.Closed as problem:
            return refusal(str(problem), status=410)
        except signups.TooMany as problem:
            response = refusal(str(problem), status=429)
            response["Retry-After"] = RETRY_AFTER
            return response
        answer = {"success": True, "message": THANKS, "resend": links.sent_url(uuid)}
        return JsonResponse(answer, status=202)


class BannerView(WebsiteView):
    """What the banner says and asks."""

    def get(self, request: Request) -> HttpResponse:
        response = JsonResponse(banners.describe())
        response["Cache-Control"] = "public, max-age=300"
        return response


class BannerAnswerView(WebsiteView):
    """Keep what a visitor answered."""

    def post(self, request: Request) -> HttpResponse:
        plain: HttpRequest = request._request
        told = requests.read_json(requests.read_body(plain))
        page = told.get("url")
        trace = requests.trace_of(plain, page if isinstance(page, str) else "")
        try:
            banners.record_answer(told=told, trace=trace, now=timezone.now())
        except banners.BadAnswer as problem:
            return refusal(str(problem), status=400)
        except banners.TooMany as problem:
            return refusal(str(problem), status=429)
        return JsonResponse({"success": True}, status=201)


class CmpView(WebsiteView):
    """Take what a consent platform exports: one consent, a list, or `{"consents": [...]}`."""

    def post(self, request: Request, key: str) -> HttpResponse:
        plain: HttpRequest = request._request
        body = requests.read_body(plain, limit=MAX_EXPORT)
        signature = plain.headers.get(SIGNATURE, "")
        try:
            connection = platforms.find_connection(key=key, body=body, signature=signature)
        except platforms.UnknownPlatform as problem:
            return refusal(str(problem), status=401)
        items = requests.read_items(body, "consents")
        if len(items) > platforms.MAX_CONSENTS:
            return refusal(f"Send at most {platforms.MAX_CONSENTS} consents at once.", status=413)
        taken = platforms.take(connection=connection, items=items, now=timezone.now())
        refused = [{"index": index, "reason": reason} for index, reason in sorted(taken.refused)]
        return JsonResponse(
            {
                "success": True,
                "recorded": taken.recorded,
                "repeated": taken.repeated,
                "refused": refused,
            }
        )


def refusal(text: str, *, status: int) -> JsonResponse:
    return JsonResponse({"success": False, "error": text}, status=status)
