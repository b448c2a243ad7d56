"""Walking through the admin as somebody would who presses every link."""

import html
import re
from urllib.parse import urldefrag, urljoin

from django.contrib.auth.models import Group
from django.test import Client

from apps.accounts.models import User
from apps.core.roles import Role
from tests.factories.accounts import StaffFactory

LINK = re.compile(r"""(?:href|src)=["']([^"'#][^"']*)["']""")
# Leads out, or repeats a list in another order or part of it.
LEFT_OUT = re.compile(r"/logout/|/jsi18n/|/static/|[?&](?:_changelist_filters|_popup|e|p)=")
PART_OF_LIST = re.compile(r"/admin/\w+/\w+/\?")
MAX_PAGES = 1000


def in_role(role: Role) -> tuple[User, Client]:
    """A new member of staff who has one role, at a browser."""
    user: User = StaffFactory()
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return user, client


def crawl(client: Client, *starts: str) -> dict[str, str]:
    """Every page that can be reached by links within the admin, with its text."""
    pages: dict[str, str] = {}
    waiting = ["/admin/", *starts]
    while waiting and len(pages) < MAX_PAGES:
        url = waiting.pop()
        if url in pages:
            continue
        answer = client.get(url)
        assert answer.status_code in (200, 302, 403, 404), url
        is_page = answer.status_code == 200 and not answer.streaming
        pages[url] = html.unescape(answer.content.decode()) if is_page else ""
        if is_page and "html" in answer["Content-Type"]:
            waiting += [link for link in _links(url, answer.content.decode()) if link not in pages]
    assert len(pages) < MAX_PAGES
    return pages


def _links(url: str, page: str) -> set[str]:
    found = {urldefrag(urljoin(url, html.unescape(link))).url for link in LINK.findall(page)}
    return {
        link
        for link in found
        if link.startswith("/admin/") and not LEFT_OUT.search(link) and not PART_OF_LIST.match(link)
    }
