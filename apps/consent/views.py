"""The pages where people say what they allow. GET never changes anything."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from apps.consent import links, preferences, registry, requests, signups
from apps.consent.models import MailPreference, PendingSignup, SignupForm, Topic
from apps.contacts import services as contacts
from apps.core import tokens
from apps.core.scripts import serve_script
from apps.core.wording import masked

ALL_METHODS = ["GET", "HEAD", "POST"]
AUTOCOMPLETE = {
    "first_name": "given-name",
    "last_name": "family-name",
    "phone": "tel",
    "country": "country",
}


# --- signing up -----------------------------------------------------------------------------------


@never_cache
@csrf_exempt
@require_http_methods(ALL_METHODS)
def show_form(request: HttpRequest, key: str) -> HttpResponse:
    """A sign-up form as a page of its own or, with ?embed, inside a page of a website."""
    form = get_object_or_404(SignupForm, key=key)
    if not form.is_active:
        return _framed(_render(request, "form_closed", status=410), form)
    if request.method != "POST":
        return _framed(_form_page(request, form, {}, {}), form)
    return _framed(_take_form(request, form), form)


def _take_form(request: HttpRequest, form: SignupForm) -> HttpResponse:
    origin, own = request.headers.get("Origin", ""), f"{request.scheme}://{request.get_host()}"
    if origin != own and not signups.may_come_from(form, origin):
        problems = {"": "This form does not take sign-ups from this website."}
        return _form_page(request, form, {}, problems, status=403)
    posted = requests.read_post(request)
    entry = requests.entry_of_form(request, posted, form.extra_fields)
    values = {"email": entry.email, "topics": entry.topics or [], **entry.texts}
    try:
        uuid = signups.sign_up_or_pretend(
            form=form,
            entry=entry,
            is_trapped=bool(posted.get(requests.TRAP)),
            now=timezone.now(),
        )
    except signups.BadEntry as problem:
        return _form_page(request, form, values, problem.problems, status=400)
    except signups.TooMany as problem:
        return _form_page(request, form, values, {"": str(problem)}, status=429)
    target = form.redirect_url or links.sent_url(uuid) + _embed(request)
    return HttpResponseRedirect(target, status=303)


def _form_page(
    request: HttpRequest,
    form: SignupForm,
    values: dict[str, Any],
    problems: dict[str, str],
    *,
    status: int = 200,
) -> HttpResponse:
    fields = [
        {
            "name": name,
            "label": SignupForm.Field(name).label.capitalize(),
            "autocomplete": AUTOCOMPLETE[name],
            "value": values.get(name, ""),
            "problem": problems.get(name, ""),
        }
        for name in form.extra_fields
    ]
    context = {
        "form": form,
        "action": request.path + _embed(request),
        "fields": fields,
        "topics": list(form.topics.filter(is_active=True).order_by("order", "name")),
        "statement": _statement(form),
        "values": values,
        "problems": problems,
    }
    return _render(request, "form", context, status=status)


def _framed(response: HttpResponse, form: SignupForm) -> HttpResponse:
    """Let the websites of the form show it in a frame, and let its answer lead to their page."""
    response.xframe_options_exempt = True
    targets = ["'self'", *([form.redirect_url] if form.redirect_url else [])]
    response._csp_replace = {  # type: ignore[attr-defined]
        "frame-ancestors": ["'self'", *(form.allowed_origins or ["*"])],
        "form-action": targets,
    }
    return response


@never_cache
@csrf_exempt
@require_http_methods(ALL_METHODS)
def show_sent(request: HttpRequest, token: str) -> HttpResponse:
    """What happens next, and a button that asks for the mail again."""
    try:
        uuid = links.read_uuid(links.RESEND, token)
    except tokens.BadToken:
        return _not_valid(request)
    form = SignupForm.objects.filter(signups__uuid=uuid).first()
    if request.method == "POST":
        signups.resend(signup_uuid=uuid, now=timezone.now())
        mark = "&resent" if _embed(request) else "?resent"
        return HttpResponseRedirect(request.path + _embed(request) + mark, status=303)
    context = {"days": signups.LIFETIME.days, "is_resent": "resent" in request.GET}
    response = _render(request, "signup_sent", context)
    return _framed(response, form) if form else response


@never_cache
@csrf_exempt
@require_http_methods(ALL_METHODS)
def confirm_signup(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, since programs follow links in mails; POST confirms."""
    now = timezone.now()
    try:
        uuid = links.read_uuid(links.CONFIRM, token)
        signup = signups.get_open(signup_uuid=uuid, now=now)
        if request.method == "POST":
            trace = requests.trace_of(request)
            signup = signups.confirm(signup_uuid=uuid, trace=trace, now=now)
    except tokens.BadToken:
        return _not_valid(request)
    except signups.Expired:
        return _render(request, "signup_expired", status=410)
    if signup.status == PendingSignup.Status.CONFIRMED:
        return _render(request, "signup_confirmed", _after(signup))
    topics = Topic.objects.filter(pk__in=signup.details["topics"]).order_by("order", "name")
    context = {
        "signup": signup,
        "address": masked(signup.details["email"]),
        "topics": [topic.name for topic in topics],
        "statement": _statement(signup.form),
    }
    return _render(request, "signup_confirm", context)


def _after(signup: PendingSignup) -> dict[str, Any]:
    """Where somebody who is in goes on; nowhere, once they were forgotten."""
    contact = signup.contact
    return {"preferences_url": links.preferences_url(contact.uuid) if contact else ""}


def _statement(form: SignupForm) -> str:
    """What people agree to by pressing the button."""
    wording = signups.find_wording(form)
    return wording.text if wording else form.purpose.description


# --- the banner -----------------------------------------------------------------------------------


@require_safe
def banner_script(request: HttpRequest) -> HttpResponseBase:
    return serve_script(request, "cuepost-banner.js")


# --- preferences ----------------------------------------------------------------------------------


@never_cache
@csrf_exempt
@require_http_methods(ALL_METHODS)
def show_preferences(request: HttpRequest, token: str) -> HttpResponse:
    """What a person allows and how often they want mail, by the link in each mail."""
    try:
        contact = contacts.find_by_uuid(links.read_uuid(links.PREFERENCES, token))
    except tokens.BadToken:
        contact = None
    if contact is None:
        return _not_valid(request)
    now, browser = timezone.now(), _browser(request)
    if request.method == "POST":
        posted = requests.read_post(request)
        if "all-off" in posted:
            preferences.refuse_all(contact=contact, browser=browser, now=now)
            return HttpResponseRedirect(f"{request.path}?off", status=303)
        preferences.save(contact=contact, answer=_answer(posted), browser=browser, now=now)
        return HttpResponseRedirect(f"{request.path}?saved", status=303)
    sections = [
        (section.template, shown)
        for section in registry.preference_sections()
        if (shown := section.read(contact, now)) is not None
    ]
    context = {
        "address": masked(contact.email or ""),
        "options": preferences.get_options(contact, has_gpc=browser.has_gpc, now=now),
        "has_gpc": browser.has_gpc,
        "wish": (wish := preferences.get_wish(contact, now)),
        "is_paused": wish.is_paused(now),
        "frequencies": MailPreference.Frequency.choices,
        "languages": preferences.languages().items(),
        "language": preferences.language_of(contact),
        "sections": sections,
        "token": token,
        "is_saved": "saved" in request.GET,
        "is_off": "off" in request.GET,
    }
    return _render(request, "preferences", context)


def _browser(request: HttpRequest) -> preferences.Browser:
    trace = requests.trace_of(request)
    return preferences.Browser(trace.ip, trace.agent, request.headers.get("Sec-GPC") == "1")


def _answer(posted: Any) -> preferences.Answer:
    frequencies = MailPreference.Frequency
    frequency = posted.get("frequency", "")
    return preferences.Answer(
        purposes=posted.getlist("purpose"),
        topics=posted.getlist("topic"),
        frequency=frequency if frequency in frequencies.values else frequencies.ALL,
        is_paused="pause" in posted,
        language=posted.get("language", ""),
    )


def _render(
    request: HttpRequest, page: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    common = {"is_embedded": "embed" in request.GET}
    return render(request, f"public/{page}.html", common | (context or {}), status=status)


def _embed(request: HttpRequest) -> str:
    return "?embed" if "embed" in request.GET else ""


def _not_valid(request: HttpRequest) -> HttpResponse:
    return render(request, "public/link_not_valid.html", status=404)
