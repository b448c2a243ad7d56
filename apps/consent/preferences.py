"""The preference page: what a person allows, how often they want mail, and changing it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from apps.consent import policy, services
from apps.consent.models import (
    ConsentRecord,
    ConsentState,
    MailPreference,
    Purpose,
    Status,
    Suppression,
    Topic,
    WordingVersion,
)
from apps.consent.recording import Statement
from apps.contacts.models import Contact

PAUSE = timedelta(days=30)
SOURCE = "preference center"


@dataclass(frozen=True)
class Option:
    """One thing to allow or refuse, as the page shows it."""

    key: str
    name: str
    text: str
    is_on: bool
    wording_version: str = ""
    is_fixed: bool = False
    topics: "list[Option]" = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """What somebody has chosen on the page."""

    purposes: Collection[str] = ()
    topics: Collection[str] = ()
    frequency: str = MailPreference.Frequency.ALL
    is_paused: bool = False
    language: str = ""


@dataclass(frozen=True)
class Browser:
    """What is known of the browser that shows the page, for the record."""

    ip: str = ""
    user_agent: str = ""
    has_gpc: bool = False


def get_options(contact: Contact, *, has_gpc: bool, now: datetime) -> list[Option]:
    """Everything the person can choose, as it stands. What rests on a contract is no choice."""
    purposes = Purpose.objects.exclude(lawful_basis=Purpose.Basis.CONTRACT).order_by("order", "key")
    refused = set(
        ConsentState.objects.filter(contact=contact, status=Status.DENIED)
        .exclude(topic=None)
        .values_list("topic", flat=True)
    )
    topics = list(Topic.objects.filter(is_active=True).order_by("order", "name"))
    wordings = _newest_wordings()
    options = []
    for purpose in purposes:
        wording = wordings.get(purpose.key)
        is_fixed = has_gpc and purpose.key == Purpose.SALE_OR_SHARING
        is_allowed = policy.allows(contact, purpose.key, now).is_allowed
        options.append(
            Option(
                key=purpose.key,
                name=purpose.name,
                text=wording.text if wording else purpose.description,
                is_on=is_allowed and not is_fixed,
                wording_version=wording.version if wording else "",
                is_fixed=is_fixed,
                topics=[
                    Option(topic.key, topic.name, topic.description, topic.key not in refused)
                    for topic in topics
                    if topic.purpose_id == purpose.key
                ],
            )
        )
    return options


def get_wish(contact: Contact, now: datetime) -> MailPreference:
    """How often the person wants mail; one that was never told wants all."""
    found = MailPreference.objects.filter(contact=contact).first()
    return found or MailPreference(contact=contact, changed_at=now)


def lock_wishes(contact_ids: Collection[int]) -> dict[int, MailPreference]:
    """Those of these people who want mail more rarely, or none for now. Call inside a transaction.

    Locked, so that two workers can't both send the one mail of a week.
    """
    rows = MailPreference.objects.filter(contact__in=contact_ids).order_by("contact")
    return {row.contact_id: row for row in rows.select_for_update(of=("self",), no_key=True)}


def contract_purposes() -> frozenset[str]:
    """What is owed to people rather than wished for, such as the news of an order."""
    owed = Purpose.objects.filter(lawful_basis=Purpose.Basis.CONTRACT)
    return frozenset(owed.values_list("key", flat=True))


@transaction.atomic
def save(*, contact: Contact, answer: Answer, browser: Browser, now: datetime) -> None:
    """Record what changes; whatever stays as it was shown is not said anew."""
    options = get_options(contact, has_gpc=browser.has_gpc, now=now)
    statements = []
    for option in options:
        statements += _changed(contact, option, None, option.key in answer.purposes, browser)
        for topic in option.topics:
            is_wanted = topic.key in answer.topics
            statements += _changed(contact, option, topic, is_wanted, browser)
    statements += _by_signal(contact, options, browser, now)
    services.record_consents(statements=statements, now=now)
    email = next((one for one in options if one.key == Purpose.EMAIL_MARKETING), None)
    if email and email.is_on and email.key not in answer.purposes:
        _silence(contact, now)
    _save_wish(contact, answer, now)
    _save_language(contact, answer.language, now)


@transaction.atomic
def refuse_all(*, contact: Contact, browser: Browser, now: datetime) -> None:
    """Take everything back at once, and keep the address silent."""
    options = get_options(contact, has_gpc=browser.has_gpc, now=now)
    statements = [_statement(contact, option, None, Status.DENIED, browser) for option in options]
    services.record_consents(statements=statements, now=now)
    _silence(contact, now)


def languages() -> Mapping[str, str]:
    """What the page offers, by the code that templates see in `contact.locale`."""
    return dict(settings.MAIL_LANGUAGES)


def language_of(contact: Contact) -> str:
    """Which of the offered languages somebody has; empty where it is another or unknown."""
    code = contact.locale.replace("_", "-").lower()
    offered = languages()
    return next((one for one in (code, code.partition("-")[0]) if one in offered), "")


def _newest_wordings() -> dict[str, WordingVersion]:
    """The text that is shown for each purpose now."""
    rows = WordingVersion.objects.filter(is_active=True).order_by("created_at", "pk")
    return {row.purpose_id: row for row in rows}


def _changed(
    contact: Contact, option: Option, topic: Option | None, is_wanted: bool, browser: Browser
) -> list[Statement]:
    shown = topic or option
    if shown.is_fixed or shown.is_on == is_wanted:
        return []
    status = Status.GRANTED if is_wanted else Status.DENIED
    return [_statement(contact, option, topic, status, browser)]


def _statement(
    contact: Contact, option: Option, topic: Option | None, status: Status, browser: Browser
) -> Statement:
    return Statement(
        contact_id=contact.pk,
        purpose=option.key,
        topic=topic.key if topic else None,
        status=status,
        method=ConsentRecord.Method.PREFERENCE_CENTER,
        source=SOURCE,
        wording_version=option.wording_version,
        ip=browser.ip,
        user_agent=browser.user_agent,
    )


def _by_signal(
    contact: Contact, options: list[Option], browser: Browser, now: datetime
) -> list[Statement]:
    """What the browser's own signal says, once a person speaks through it."""
    is_asked = any(option.is_fixed for option in options)
    if not is_asked or not policy.allows(contact, Purpose.SALE_OR_SHARING, now).is_allowed:
        return []
    return [
        Statement(
            contact_id=contact.pk,
            purpose=Purpose.SALE_OR_SHARING,
            status=Status.DENIED,
            method=ConsentRecord.Method.GPC,
            source=SOURCE,
            ip=browser.ip,
            user_agent=browser.user_agent,
        )
    ]


def _silence(contact: Contact, now: datetime) -> None:
    if contact.email:
        reason = Suppression.Reason.UNSUBSCRIBED
        services.suppress(emails=[contact.email], reason=reason, now=now)


def _save_wish(contact: Contact, answer: Answer, now: datetime) -> None:
    wish = get_wish(contact, now)
    paused_until = None
    if answer.is_paused:
        paused_until = wish.paused_until if wish.is_paused(now) else now + PAUSE
    if (wish.frequency, wish.paused_until) == (answer.frequency, paused_until):
        return
    MailPreference.objects.update_or_create(
        contact=contact,
        defaults={
            "frequency": answer.frequency,
            "paused_until": paused_until,
            "changed_at": now,
        },
    )


def _save_language(contact: Contact, language: str, now: datetime) -> None:
    if language in languages() and language != language_of(contact):
        Contact.objects.filter(pk=contact.pk).update(locale=language, updated_at=now)
