"""What is kept of where a statement came from: enough to prove it, too little to follow anybody."""

from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from urllib.parse import urlsplit, urlunsplit

MAX_URL = 500
MAX_AGENT = 80


def network_of(ip: str) -> str:
    """The network of an address, /24 or /48; nothing where the text is no address."""
    try:
        address = ip_address(ip.strip())
    except ValueError:
        return ""
    if not isinstance(address, IPv4Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    prefix = 24 if isinstance(address, IPv4Address) else 48
    return str(ip_network((address.packed, prefix), strict=False))


@lru_cache(maxsize=1000)
def browser_of(user_agent: str) -> str:
    """The kind of a browser, such as “Chrome on Android”; nothing where it isn't known."""
    if not user_agent:
        return ""
    from ua_parser import parse  # noqa: PLC0415 -- its tables cost memory that few processes need

    found = parse(user_agent[:1000])
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    return " on ".join(part for part in (browser, system) if part)[:MAX_AGENT]


def page_of(url: str) -> str:
    """The address of a page without user, query and fragment, which may name a person."""
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    return urlunsplit((parts.scheme, host, parts.path, "", ""))[:MAX_URL]
