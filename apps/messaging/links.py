"""The addresses in a mail: campaign parameters, click tracking, unsubscribing, the open pixel."""

import re
from collections.abc import Callable
from functools import lru_cache
from html import escape, unescape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from django.conf import settings

from apps.consent import links as consent
from apps.core import tokens

OPEN = "open"
CLICK = "click"
UNSUBSCRIBE = "unsubscribe"

WEB = ("http://", "https://")
HARMLESS = ("mailto:", "tel:", "sms:", "#")
_HREF = re.compile(r'(<(?:a|area)\s(?:[^>"]|"[^"]*")*?(?<=\s)href=")([^"]*)(")', re.IGNORECASE)
# A name or an address; no user before an “@”, no backslash, which browsers read as a slash.
_PLAIN_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d+)?")
_ENDED_HOST = re.compile(r"https?://[^/?#]+[/?#]", re.IGNORECASE)
_END_OF_BODY = re.compile(r"</body\s*>", re.IGNORECASE)


def unsubscribe_url(*, contact_uuid: UUID, public_id: UUID) -> str:
    return _engagement_url("u", tokens.sign(UNSUBSCRIBE, [contact_uuid.hex, public_id.hex]))


def open_url(*, public_id: UUID) -> str:
    return _engagement_url("o", tokens.sign(OPEN, public_id.hex))


def click_url(*, public_id: UUID, target: str) -> str:
    return _engagement_url("c", tokens.sign(CLICK, [public_id.hex, target]))


def _engagement_url(kind: str, token: str) -> str:
    return f"{settings.BASE_URL}/e/{kind}/{token}"


@lru_cache(maxsize=4096)
def destination(address: str, campaign: str) -> str:
    """Where a link leads: with campaign parameters if it leads to a website, “#” if it isn't safe.

    A value from an event may be anything, also "javascript:…"; such a link leads nowhere.
    """
    address = address.strip()
    if address.lower().startswith(HARMLESS) or is_own(address):
        return address
    if not address.lower().startswith(WEB):
        return "#"
    try:
        parts = urlsplit(address)
        given = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        return "#"
    wanted = {"utm_source": "cuepost", "utm_medium": "email", "utm_campaign": campaign}
    added = urlencode({name: value for name, value in wanted.items() if name not in given})
    query = "&".join(part for part in (parts.query, added) if part)
    return urlunsplit(parts._replace(query=query))


def is_own(address: str) -> bool:
    """Whether it is a personal link of this installation, which nothing is added to."""
    own = (f"{settings.BASE_URL}/e/", f"{settings.BASE_URL}{consent.PREFERENCES_PATH}")
    return address.startswith(own)


def written_hosts(source: str) -> frozenset[str]:
    """The hosts that stand in a template's own links, letter for letter."""
    hosts = (_written_host(unescape(match[2])) for match in _HREF.finditer(source))
    return frozenset(host for host in hosts if host)


def _written_host(address: str) -> str:
    """Nothing where the host may go on with what a variable holds."""
    start, liquid, _ = address.partition("{")
    return _host(start) if not liquid or _ENDED_HOST.match(start) else ""


def track(
    html: str,
    *,
    public_id: UUID,
    campaign: str,
    hosts: frozenset[str],
    is_tracked: bool = True,
) -> tuple[str, list[str]]:
    """Lead each link to a host we know past us, and add the pixel; answer also the addresses.

    Others lead where they lead: an event may bring any address, and nobody shall get a link on our
    domain for theirs. Untracked, all links lead where they lead, and there is no pixel.
    """
    if not is_tracked:
        return _rewrite(html, lambda address: destination(address, campaign)), []
    tracked: dict[str, str] = {}
    known = hosts | _shop_hosts(settings.BASE_URL, tuple(settings.SHOP_HOSTS))

    def through_us(target: str) -> str:
        if is_own(target) or _host(target) not in known:
            return target
        if target not in tracked:
            tracked[target] = click_url(public_id=public_id, target=target)
        return tracked[target]

    html = _rewrite(html, lambda address: through_us(destination(address, campaign)))
    pixel = f'<img src="{open_url(public_id=public_id)}" width="1" height="1" alt="" border="0">'
    end = _END_OF_BODY.search(html)
    at = end.start() if end else len(html)
    return f"{html[:at]}{pixel}{html[at:]}", list(tracked)


@lru_cache(maxsize=4096)
def _host(address: str) -> str:
    """The host of a web address; nothing where programs might disagree about which one it is."""
    if not address.lower().startswith(WEB):
        return ""
    try:
        netloc = urlsplit(address).netloc
    except ValueError:
        return ""
    plain = _PLAIN_HOST.fullmatch(netloc)
    return plain[1].lower() if plain else ""


@lru_cache(maxsize=8)
def _shop_hosts(base_url: str, hosts: tuple[str, ...]) -> frozenset[str]:
    return frozenset({_host(base_url), *hosts} - {""})


def _rewrite(html: str, change: Callable[[str], str]) -> str:
    def replaced(match: re.Match[str]) -> str:
        address = unescape(match[2])
        changed = change(address)
        return match[0] if changed == address else f"{match[1]}{escape(changed)}{match[3]}"

    return _HREF.sub(replaced, html)
