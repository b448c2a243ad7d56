"""Who is in front of the shop: a browser that made its choice, and the customer behind it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from apps.core.hashing import keyed_hash

CONSENT_COOKIE = "cuepost_consent"
ID_COOKIE = "cuepost_anonymous_id"
# What the box at the checkout says, and the name by which the ledger keeps that wording.
MAIL_WORDING = "Send me news and reminders by e-mail. I can unsubscribe at any time."
MAIL_WORDING_VERSION = "checkout-1"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Visitor:
    """A browser: whether it may be followed, only then by which ID, and its mails likewise."""

    allows_tracking: bool
    anonymous_id: str = ""
    allows_open_tracking: bool = False


def agree(consent: dict[str, Any]) -> None:
    """Note in a call's consent that the box was ticked, and what it said."""
    consent["categoryPreferences"]["email_marketing"] = True
    consent["method"] = "form"
    consent["wordingVersion"] = MAIL_WORDING_VERSION


@dataclass(frozen=True)
class Customer:
    """Whoever filled in the checkout form."""

    email: str
    first_name: str
    last_name: str
    wants_mail: bool

    @property
    def number(self) -> str:
        """The customer number: the same address gets the same one at its next order."""
        return f"C-{keyed_hash(self.email.strip().lower())[:12].upper()}"

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def read_visitor(cookies: Mapping[str, str]) -> Visitor:
    """Read the cookies that cuepost.js keeps; no choice yet counts as no."""
    choices = cookies.get(CONSENT_COOKIE, "").split(".")
    if "tracking:1" not in choices:
        return Visitor(allows_tracking=False)
    anonymous_id = cookies.get(ID_COOKIE, "")
    known = anonymous_id if _UUID.fullmatch(anonymous_id) else ""
    return Visitor(
        allows_tracking=True,
        anonymous_id=known,
        allows_open_tracking="open_tracking:1" in choices,
    )
