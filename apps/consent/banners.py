"""The banner: what it asks, what visitors answered, and handing that to whom they turn out to be.

A banner speaks for a browser, not for an address: it can't allow mail. And whoever holds a browser
may be anybody, so of a person we know it only adds a yes where they said nothing before.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max

from apps.consent import provenance, services
from apps.consent.facts import Trace
from apps.consent.models import (
    AnonymousConsent,
    Banner,
    ConsentRecord,
    ConsentState,
    Purpose,
    Status,
    WordingVersion,
)
from apps.consent.recording import Statement
from apps.contacts.models import Identity
from apps.core.pseudonyms import as_stored, hide_browser

SOURCE = "cookie banner"
# What a new installation asks for.
DEFAULT_PURPOSES = (Purpose.TRACKING, Purpose.PERSONALISATION)
MAX_ID = 200


# One network may answer so often in that time; a real one, however large, does not.
MAX_PER_NETWORK = 300
NETWORK_WINDOW = timedelta(minutes=1)


class TooMany(Exception):
    """Too many answers came from one network."""


class BadAnswer(ValueError):
    """What a banner sent is no answer to it."""


def install(**_: Any) -> None:
    """Make the banner after the migrations, where there is none."""
    if not Banner.objects.exists():
        banner = Banner.objects.create()
        banner.purposes.set(Purpose.objects.filter(key__in=DEFAULT_PURPOSES))


def get_banner() -> Banner:
    return Banner.objects.order_by("pk").first() or Banner()


def purposes_of(banner: Banner) -> list[Purpose]:
    """What the banner asks for, in order."""
    if banner.pk is None:
        return []
    return list(banner.purposes.exclude(key=Purpose.EMAIL_MARKETING).order_by("order", "key"))


def describe() -> dict[str, Any]:
    """Everything that the script needs to show the banner."""
    banner = get_banner()
    purposes = purposes_of(banner)
    rows = WordingVersion.objects.filter(is_active=True, purpose__in=purposes)
    newest = {row.purpose_id: row for row in rows.order_by("created_at", "pk")}
    return {
        "title": banner.title,
        "text": banner.text,
        "policyUrl": banner.policy_url,
        "purposes": [
            {
                "key": purpose.key,
                "name": purpose.name,
                "text": newest[purpose.key].text if purpose.key in newest else purpose.description,
            }
            for purpose in purposes
        ],
        "wording": {key: row.version for key, row in newest.items()},
    }


def record_answer(*, told: Mapping[str, Any], trace: Trace, now: datetime) -> AnonymousConsent:
    """Keep one answer as proof; a person whom its browser is known to belong to said it too."""
    choice = _read_choice(told)
    network = provenance.network_of(trace.ip)
    _check_network(network, now)
    browser = _read_browser(told)
    answer = AnonymousConsent(
        choice=choice,
        action=_read_action(told.get("action")),
        has_gpc=told.get("gpc") is True,
        wording=_read_wording(told.get("wording")),
        page=provenance.page_of(trace.source_url),
        user_agent=provenance.browser_of(trace.agent),
        ip_network=network,
        recorded_at=now,
    )
    # Without a yes, now or before, nothing may tell this browser from any other.
    if browser and (any(choice.values()) or _has_spoken(browser)):
        answer.browser = browser
    answer.save()
    if answer.browser:
        owner = Identity.objects.filter(kind=Identity.Kind.ANONYMOUS_ID, value=browser).first()
        if owner is not None:
            _tell_ledger({owner.contact_id: [answer]}, now)
    return answer


def _check_network(network: str, now: datetime) -> None:
    since = now - NETWORK_WINDOW
    recent = AnonymousConsent.objects.filter(recorded_at__gt=since, ip_network=network)
    if network and recent.count() >= MAX_PER_NETWORK:
        raise TooMany("Too many answers came from your network. Please try again in a minute.")


def adopt(*, adoptions: Mapping[str, int], now: datetime) -> None:
    """Hand the newest answers of browsers to the people whose they turned out to be."""
    owners = {as_stored(browser): contact_id for browser, contact_id in adoptions.items()}
    spoken = AnonymousConsent.objects.filter(browser__in=owners)
    newest = spoken.values("browser").annotate(newest=Max("id")).values("newest")
    answers: dict[int, list[AnonymousConsent]] = {}
    for answer in AnonymousConsent.objects.filter(pk__in=newest).order_by("pk"):
        answers.setdefault(owners[answer.browser], []).append(answer)
    if answers:
        _tell_ledger(answers, now)


def _tell_ledger(answers: Mapping[int, Iterable[AnonymousConsent]], now: datetime) -> None:
    known = _spoken_of(answers)
    statements = [
        Statement(
            contact_id=contact_id,
            purpose=purpose,
            status=Status.GRANTED if is_allowed else Status.DENIED,
            method=ConsentRecord.Method.BANNER,
            source=SOURCE,
            source_url=answer.page,
            wording_version=str(answer.wording.get(purpose, "")),
            evidence={
                "answer": answer.pk,
                "answered_at": answer.recorded_at.isoformat(),
                "network": answer.ip_network,
                "browser": answer.user_agent,
            },
            is_explicit=not is_allowed,
            said_at=answer.recorded_at,
        )
        for contact_id, told in answers.items()
        for answer in told
        for purpose, is_allowed in answer.choice.items()
        if not is_allowed or (contact_id, purpose) not in known
    ]
    services.record_consents(statements=statements, now=now)


def _spoken_of(contact_ids: Iterable[int]) -> set[tuple[int, str]]:
    """What these people have said something about."""
    rows = ConsentState.objects.filter(contact__in=list(contact_ids), topic=None)
    return set(rows.values_list("contact_id", "purpose_id"))


def _has_spoken(browser: str) -> bool:
    return AnonymousConsent.objects.filter(browser=browser).exists()


# --- reading what anybody may send ----------------------------------------------------------------


def _read_choice(told: Mapping[str, Any]) -> dict[str, bool]:
    given = told.get("choice")
    asked = {purpose.key for purpose in purposes_of(get_banner())}
    if not isinstance(given, dict):
        raise BadAnswer("“choice” must say yes or no to each purpose.")
    choice = {key: value for key, value in given.items() if key in asked and value in (True, False)}
    if told.get("gpc") is True:
        choice[Purpose.SALE_OR_SHARING] = False
    if not choice:
        raise BadAnswer("“choice” says nothing about any purpose of the banner.")
    return choice


def _read_browser(told: Mapping[str, Any]) -> str:
    browser = told.get("anonymousId")
    is_id = isinstance(browser, str) and 0 < len(browser) <= MAX_ID and browser.isprintable()
    return hide_browser(str(browser)) if is_id else ""


def _read_action(action: object) -> str:
    actions: Collection[str] = AnonymousConsent.Action.values
    return str(action) if action in actions else AnonymousConsent.Action.CUSTOM.value


def _read_wording(wording: object) -> dict[str, str]:
    told = wording.items() if isinstance(wording, dict) else ()
    return {
        key[:40]: value[:40]
        for key, value in list(told)[:20]
        if isinstance(value, str) and value.isprintable() and key.isprintable()
    }
