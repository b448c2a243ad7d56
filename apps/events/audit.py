"""What a page on the web does for tracking: found by reading it, as a browser would load it.

Scripts are read and not run. So what a tag manager loads later stays unseen, and is told so.
"""

import re
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from apps.core.hashing import keyed_hash
from apps.core.wording import counted
from apps.events.fetching import MAX_SECONDS, Answer, Unreachable, absolute, fetch
from apps.events.models import Source

MAX_SCRIPT = 500_000
MAX_SCRIPTS = 10

GOOD, INFO, WARNING, DANGER = "good", "info", "warning", "danger"

_CUEPOST = re.compile(r"/js/cuepost(?:\.min)?\.js$")
_BANNER = re.compile(r"/js/cuepost-banner\.js$")
_SEGMENT = re.compile(r"/analytics\.js/v1/([^/\"']+)/|\banalytics\.load\(\s*[\"']([^\"']+)[\"']")
_GTM = re.compile(r"\bGTM-[A-Z0-9]{4,12}\b")
_GA4 = re.compile(r"gtag/js\?id=(G-[A-Z0-9]{4,14})|gtag\(\s*[\"']config[\"']\s*,\s*[\"'](G-\w+)")
_CONSENT_CALL = re.compile(r"\bcuepost\.consent\(|[\"']consent[\"']\s*,\s*\{[^}]*tracking")
_LOADED_KEY = re.compile(r"""writeKey\s*=\s*["']([^"']+)["']""")
_SECRET = re.compile(r"\bsk_[A-Za-z0-9_-]{20,64}")
_PLATFORMS = {
    "OneTrust": r"cdn\.cookielaw\.org|otSDKStub|onetrust",
    "Cookiebot": r"consent\.cookiebot\.(?:com|eu)",
    "Usercentrics": r"usercentrics\.(?:eu|com)",
    "Didomi": r"sdk\.privacy-center\.org|didomi",
    "consentmanager": r"consentmanager\.net",
    "Sourcepoint": r"sp-prod\.net|privacy-mgmt\.com",
    "InMobi (Quantcast)": r"cmp\.(?:quantcast|inmobi)\.com",
    "iubenda": r"iubenda\.com",
    "CookieYes": r"cdn-cookieyes\.com",
    "Termly": r"app\.termly\.io",
    "Osano": r"cmp\.osano\.com",
    "Borlabs": r"borlabs-cookie",
    "Complianz": r"complianz",
    "Klaro": r"klaro(?:\.min)?\.js",
    "IAB TCF": r"__tcfapi",
    "Google consent mode": r"gtag\(\s*[\"']consent[\"']",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked for: good, info, warning or danger, in words."""

    name: str
    state: str
    text: str


@dataclass
class Audit:
    """What was found on a page."""

    url: str
    final_url: str
    status: int
    checks: list[Check] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether events come from it, under a public key of ours, and consent is asked for."""
        is_telling = any(
            one.name in ("snippet", "pixel") and one.state == GOOD for one in self.checks
        )
        return is_telling and all(one.state in (GOOD, INFO) for one in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "final_url": self.final_url,
            "status": self.status,
            "is_sound": self.is_sound,
            "checks": [vars(check) for check in self.checks],
        }


# --- reading ------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """Scripts, images and links of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[dict[str, str]] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "script":
            self._is_script = True
            if told.get("src"):
                self.scripts.append(told)
        elif tag == "img" and told.get("src"):
            self.images.append(told["src"])
        elif tag == "a" and told.get("href"):
            self.links.append(told["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.inline.append(data)


@dataclass
class Page:
    """A page with the text of its own scripts."""

    url: str
    html: str
    reader: _Reader
    scripts: str
    until: float
    unread: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return f"{self.html}\n{self.scripts}"

    def sources(self) -> list[str]:
        return [absolute(script["src"], self.url) for script in self.reader.scripts]


def audit(url: str) -> Audit:
    """Fetch a page and its own scripts, and say what they do; raise Unreachable."""
    until = time.monotonic() + MAX_SECONDS
    answer = fetch(url, until=until)
    page = _open(answer, until)
    found = Audit(url=url, final_url=answer.url, status=answer.status)
    for look in (_snippet, _segment, _managers, _pixel, _secrets, _consent, _campaign):
        found.checks += look(page)
    if page.unread:
        words = f"{counted(len(page.unread), 'script')} of the site could not be read."
        found.checks.append(Check("scripts", INFO, words))
    if not any(check.name in ("snippet", "pixel") for check in found.checks):
        hint = " Its tag manager may load it." if _GTM.search(page.text) else ""
        words = f"Neither a snippet nor a pixel that tells Cuepost anything was found.{hint}"
        found.checks.insert(0, Check("snippet", DANGER, words))
    return found


def _open(answer: Answer, until: float) -> Page:
    reader = _Reader()
    reader.feed(answer.text)
    reader.close()
    page = Page(answer.url, answer.text, reader, "\n".join(reader.inline), until)
    own = [source for source in page.sources() if _is_own(source, answer.url)]
    for source in own[:MAX_SCRIPTS]:
        if _CUEPOST.search(urlsplit(source).path) or _BANNER.search(urlsplit(source).path):
            continue
        try:
            page.scripts += "\n" + fetch(source, limit=MAX_SCRIPT, until=until).text
        except Unreachable:
            page.unread.append(source)
    return page


def _is_own(source: str, page_url: str) -> bool:
    return urlsplit(source).netloc == urlsplit(page_url).netloc


# --- what is looked for -------------------------------------------------------------------------


def _snippet(page: Page) -> list[Check]:
    checks = []
    for script in page.reader.scripts:
        source = absolute(script["src"], page.url)
        if not _CUEPOST.search(urlsplit(source).path):
            continue
        key = script.get("data-write-key", "")
        checks.append(_judge_key("snippet", f"cuepost.js from {urlsplit(source).netloc}", key))
        try:
            fetch(source, limit=MAX_SCRIPT, until=page.until)
        except Unreachable as problem:
            checks.append(Check("snippet", DANGER, f"cuepost.js does not load. {problem}"))
    if not checks and "/js/cuepost.js" in page.scripts:
        told = _LOADED_KEY.search(page.scripts)
        key = told.group(1) if told else ""
        checks.append(_judge_key("snippet", "cuepost.js, loaded by a script", key))
    if len([one for one in checks if one.state == GOOD]) > 1:
        checks.append(Check("snippet", WARNING, "cuepost.js is there twice."))
    return checks


def _segment(page: Page) -> list[Check]:
    keys = {next(filter(None, found)) for found in _SEGMENT.findall(page.text)}
    return [
        _judge_key("snippet", "Segment’s analytics.js", key, is_ours=False) for key in sorted(keys)
    ]


def _managers(page: Page) -> list[Check]:
    checks = []
    if containers := sorted(set(_GTM.findall(page.text))):
        words = f"Google Tag Manager {', '.join(containers)}; what it loads is not seen here."
        checks.append(Check("tag_manager", INFO, words))
    if ids := sorted({next(filter(None, found)) for found in _GA4.findall(page.text)}):
        checks.append(Check("analytics", INFO, f"Google Analytics 4 {', '.join(ids)}."))
    return checks


def _pixel(page: Page) -> list[Check]:
    checks = []
    for source in page.reader.images:
        parts = urlsplit(absolute(source, page.url))
        told = parse_qs(parts.query)
        if not parts.path.endswith("/track") or "event" not in told:
            continue
        name = f"Pixel for “{told['event'][0]}”"
        if "key" in told:
            checks.append(_judge_key("pixel", name, told["key"][0]))
        else:
            words = f"{name} names no key: it counts for the oldest source."
            checks.append(Check("pixel", WARNING, words))
    return checks


def _judge_key(name: str, what: str, key: str, *, is_ours: bool = True) -> Check:
    if key.startswith("sk_"):
        return Check(name, DANGER, f"{what} carries a SECRET key ({_hint(key)}).")
    source = Source.objects.filter(public_key=key, is_internal=False).first() if key else None
    if source and source.is_active:
        return Check(name, GOOD, f"{what}, with the public key of “{source}”.")
    if source:
        return Check(name, DANGER, f"{what}: the source “{source}” is switched off.")
    if not is_ours:
        return Check("other", INFO, f"{what}, with a key that is none of ours.")
    if not key:
        return Check(name, DANGER, f"{what} has no write key.")
    return Check(name, DANGER, f"{what}: no source here has the key {key[:60]}.")


def _secrets(page: Page) -> list[Check]:
    """A secret key in a page is everybody's: with it anybody may speak for any contact."""
    checks = []
    for key in sorted(set(_SECRET.findall(page.text))):
        source = Source.objects.filter(secret_key_hash=keyed_hash(key)).first()
        whose = f"the secret key of “{source}”" if source else "something like a secret key"
        words = f"ALARM: the page shows everybody {whose} ({_hint(key)}). Make a new one now."
        checks.append(Check("secret_key", DANGER, words))
    return checks


def _hint(key: str) -> str:
    """Enough to know it by; reports are passed on."""
    return f"sk_…{key[-4:]}"


def _consent(page: Page) -> list[Check]:
    found = _platforms(page.text)
    if any(_BANNER.search(urlsplit(source).path) for source in page.sources()):
        found.append("Cuepost’s banner")
    if _CONSENT_CALL.search(page.scripts):
        found.append("cuepost.consent()")
    checks = []
    if found:
        checks.append(Check("consent", GOOD, f"Consent is asked by {', '.join(found)}."))
    if any(script.get("data-consent") == "implied" for script in page.reader.scripts):
        words = "cuepost.js tracks before anybody has agreed (data-consent=implied)."
        checks.append(Check("consent", WARNING, words))
    elif not found:
        words = "Nobody asks for consent: cuepost.js stays silent until it hears a yes."
        checks.append(Check("consent", WARNING, words))
    return checks


def _platforms(text: str) -> list[str]:
    return [name for name, mark in _PLATFORMS.items() if re.search(mark, text, re.IGNORECASE)]


def _campaign(page: Page) -> list[Check]:
    checks = []
    told = _utm(page.url)
    if told:
        words = ", ".join(f"{name}={value}" for name, value in told.items())
        checks.append(Check("utm", INFO, f"The address has {words}."))
    links = [absolute(link, page.url) for link in page.reader.links]
    tagged = [link for link in links if _utm(link)]
    inner = [link for link in tagged if _is_own(link, page.url)]
    if inner:
        words = f"{counted(len(inner), 'link')} within the site with UTM parameters: each "
        words += "click replaces the campaign that a visitor really came by."
        checks.append(Check("utm", WARNING, words))
    if outer := len(tagged) - len(inner):
        checks.append(Check("utm", INFO, f"{counted(outer, 'link')} to elsewhere with UTM."))
    return checks or [Check("utm", INFO, "No UTM parameters, in the address or in links.")]


def _utm(url: str) -> dict[str, str]:
    query = parse_qs(urlsplit(url).query)
    return {name: values[0] for name, values in query.items() if name.startswith("utm_")}
