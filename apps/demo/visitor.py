"""What the shop's server may know of the browser in front of it: the choice made in the banner."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

CONSENT_COOKIE = "cuepost_consent"
ID_COOKIE = "cuepost_anonymous_id"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Visitor:
    """A browser: whether it may be followed, and only then by which ID."""

    allows_tracking: bool
    anonymous_id: str = ""


def read_visitor(cookies: Mapping[str, str]) -> Visitor:
    """Read the cookies that cuepost.js keeps; no choice yet counts as no."""
    choices = cookies.get(CONSENT_COOKIE, "").split(".")
    if "tracking:1" not in choices:
        return Visitor(allows_tracking=False)
    anonymous_id = cookies.get(ID_COOKIE, "")
    known = anonymous_id if _UUID.fullmatch(anonymous_id) else ""
    return Visitor(allows_tracking=True, anonymous_id=known)
