"""What people do about their data themselves: ask, prove that it is them, take the copy."""

from datetime import datetime
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.consent import links, requests, rights
from apps.consent.models import PrivacyRequest
from apps.contacts import services as contacts
from apps.contacts.models import Contact
from apps.core import tokens

Kind = PrivacyRequest.Kind
# What a person may ask for by a button. A correction needs words, and staff.
OFFERED = {
    Kind.EXPORT: "Send me a copy of my data",
    Kind.RESTRICT: "Keep my data, but don’t use it",
    Kind.OBJECT: "No marketing to me",
    Kind.OPT_OUT: "Don’t sell or share my data",
    Kind.ERASE: "Erase everything about me",
}


def read_section(contact: Contact, now: datetime) -> dict[str, Any] | None:
    """For the preference page: what may be asked for, and what was."""
    asked = PrivacyRequest.objects.filter(contact=contact).order_by("-pk")[:5]
    return {
        "offered": [(kind.value, text) for kind, text in OFFERED.items()],
        "asked": [
            {"what": one.get_kind_display(), "how_far": one.get_status_display()} for one in asked
        ],
    }


@never_cache
@csrf_exempt
@require_POST
def ask(request: HttpRequest, token: str) -> HttpResponse:
    """A button of the preference page; the token is that page's own."""
    contact = _find_contact(token)
    kind = requests.read_post(request).get("kind", "")
    if contact is None or kind not in OFFERED:
        return _render(request, "link_not_valid", status=404)
    asked = rights.ask(contact=contact, kind=kind, by=rights.PERSON, now=timezone.now())
    return _render(request, "privacy_asked", {"asked": asked, "has_mail": rights.can_mail(contact)})


@never_cache
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """The link in the mail leads to a page with a button; only the button proves anything."""
    asked = _find_request(links.PRIVACY_CONFIRM, token)
    if asked is None or asked.status == PrivacyRequest.Status.EXPIRED:
        return _render(request, "link_not_valid", status=404)
    if request.method == "POST":
        try:
            rights.verify(request=asked, by=rights.MAIL, now=timezone.now())
        except rights.NotPossible:
            return _render(request, "link_not_valid", status=404)
        return HttpResponseRedirect(request.path, status=303)
    return _render(request, "privacy_confirm", {"asked": asked})


@never_cache
@require_safe
def download(request: HttpRequest, token: str) -> HttpResponseBase:
    """The copy, for as long as the rule says."""
    asked = _find_request(links.PRIVACY_COPY, token)
    path = rights.find_copy(asked, timezone.now()) if asked else None
    if path is None:
        return _render(request, "link_not_valid", status=404)
    return FileResponse(path.open("rb"), as_attachment=True, filename="my-data.zip")


def _find_contact(token: str) -> Contact | None:
    try:
        return contacts.find_by_uuid(links.read_uuid(links.PREFERENCES, token))
    except tokens.BadToken:
        return None


def _find_request(purpose: str, token: str) -> PrivacyRequest | None:
    try:
        uuid = links.read_uuid(purpose, token)
    except tokens.BadToken:
        return None
    return PrivacyRequest.objects.select_related("contact").filter(uuid=uuid).first()


def _render(
    request: HttpRequest, page: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    return render(request, f"public/{page}.html", context, status=status)
