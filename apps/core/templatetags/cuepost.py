"""How the pages of the admin show times, stored values and states."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core import wording
from apps.core.pages import model_url, object_url

register = template.Library()

JUST_NOW = timedelta(seconds=10)
ICONS = {"good": "check_circle", "warning": "warning", "danger": "error", "neutral": "info"}


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """When it was: exact for machines, readable for people."""
    if at is None:
        return "–"
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), wording.moment(at))


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """How long ago, with the exact time on hover."""
    if at is None:
        return "–"
    span = timezone.now() - at  # noqa: TID251 -- a page says “ago” as of its rendering
    exact = wording.moment(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, _distance(span)
    )


def _distance(span: timedelta) -> str:
    if abs(span) < JUST_NOW:
        return "just now"
    is_past = span > timedelta(0)
    return f"{wording.roughly(span)} ago" if is_past else f"in {wording.roughly(-span)}"


@register.filter
def roughly(duration: Any) -> str:
    return wording.roughly(duration)


@register.filter
def spelled(name: str) -> str:
    return wording.spelled(name)


@register.filter
def grouped(count: int | None) -> str:
    """A number as people read it: 12,000."""
    return "–" if count is None else f"{count:,}"


@register.filter
def icon_of(tone: str) -> str:
    """The sign of a tone, so that color is never the only one."""
    return ICONS.get(tone, "info")


@register.filter
def rows_of(values: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return wording.rows_of(values or {})


@register.filter
def item(values: Mapping[str, Any] | None, name: str) -> Any:
    """One value of a dictionary whose key is in a variable."""
    return (values or {}).get(name)


@register.filter
def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@dataclass(frozen=True)
class Crumb:
    """One step of the way from the index to a page."""

    title: str
    url: str


@register.simple_tag(takes_context=True)
def crumbs(context: Context) -> list[Crumb]:
    """The way to this page: the index, the list, and the row where the page is about one more."""
    opts = context.get("opts")
    if opts is None:
        return []
    trail = [Crumb("Overview", reverse("admin:index"))]
    row = context.get("object")
    if context.get("cl") is None and opts.model in admin.site._registry:
        model_admin = admin.site.get_model_admin(opts.model)
        name = getattr(model_admin, "heading", "") or str(opts.verbose_name_plural).capitalize()
        trail.append(Crumb(name, model_url(opts.model)))
    if row is not None and context.get("original") is None and not isinstance(row, str):
        trail.append(Crumb(str(row), object_url(row)))
    return trail


@dataclass(frozen=True)
class PageLink:
    """One page of a list; without an address it is the present one, without a number a gap."""

    number: int | None
    url: str = ""


@register.simple_tag
def page_links(cl: Any) -> list[PageLink]:
    """The pages of a list around the present one."""
    links = []
    for number in cl.paginator.get_elided_page_range(cl.page_num, on_each_side=2, on_ends=1):
        if not isinstance(number, int):
            links.append(PageLink(None))
        elif number == cl.page_num:
            links.append(PageLink(number))
        else:
            links.append(PageLink(number, cl.get_query_string({PAGE_VAR: number})))
    return links
