"""The live debugger's pages."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path

from apps.core.backoffice import ReadOnlyAdmin, has_perm
from apps.core.viewing import SEE_PEOPLE
from apps.events import debugger
from apps.events.debugger import Wish
from apps.events.models import Event, RejectedEvent, Source

MAX_KNOWN = 1200
SECONDS_BETWEEN_LOOKS = 2


class LivePages(ReadOnlyAdmin):
    """The newest events as they arrive, and a look into each."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("live/", view(self.live_view), name="events_event_live"),
            path("live/rows/", view(self.live_rows_view), name="events_event_live_rows"),
            path(
                "live/<str:kind>/<int:pk>/",
                view(self.live_detail_view),
                name="events_event_live_detail",
            ),
        ]
        return [*own, *super().get_urls()]

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """The page; it asks for rows by itself from then on."""
        self._refuse_strangers(request)
        wish = self._read_wish(request)
        context = {
            "title": "Live",
            "heading": "Live",
            "wish": wish,
            "sources": Source.objects.order_by("name"),
            "may_name_people": has_perm(request, SEE_PEOPLE),
            "rows": debugger.newest(wish),
            "seconds": SECONDS_BETWEEN_LOOKS,
            "shown": debugger.SHOWN,
        }
        return self.render(request, "admin/events/live.html", context)

    def live_rows_view(self, request: HttpRequest) -> HttpResponse:
        """What has come since; empty where nothing has."""
        self._refuse_strangers(request)
        known = request.GET.get("known", "").split(",")[:MAX_KNOWN]
        after = _number(request.GET.get("after", ""))
        rows = debugger.newest(self._read_wish(request), after=after, known=frozenset(known))
        if not rows:
            return HttpResponse(status=204)
        return self.render(request, "admin/events/live_rows.html", {"rows": rows})

    def live_detail_view(self, request: HttpRequest, kind: str, pk: int) -> HttpResponse:
        """All of one event: what it held, when it was, and what came of it."""
        self._refuse_strangers(request)

        def may(permission: str) -> bool:
            return has_perm(request, permission)

        if kind == "event":
            event = Event.objects.filter(pk=pk).select_related("contact", "source").first()
            if event is None:
                raise Http404
            detail = debugger.look_into(event, may=may)
            original = debugger.original_url(event)
        else:
            rejected = RejectedEvent.objects.filter(pk=pk).select_related("source").first()
            if kind != "rejected" or rejected is None:
                raise Http404
            if not may("events.view_rejectedevent"):
                raise PermissionDenied
            detail, original = debugger.look_into_rejected(rejected), ""
        context = {"detail": detail, "original": original}
        return self.render(request, "admin/events/live_detail.html", context)

    def _refuse_strangers(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _read_wish(self, request: HttpRequest) -> Wish:
        """Who may not see people can't look for one either: hits would tell."""
        told: Any = request.GET
        may_name = has_perm(request, SEE_PEOPLE)
        return Wish(
            source_id=_number(told.get("source", "")) or None,
            name=_clean(told.get("name", ""))[:200],
            person=_clean(told.get("person", ""))[:200] if may_name else "",
        )


def _number(text: str) -> int:
    """A number that the database can hold, else 0."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip()
