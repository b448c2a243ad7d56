"""Signing up: asking, confirming by mail, and forgetting who never did.

Whoever asks is told the same whether we know the address or not: each sign-up has its row, and each
row its mail. What limits the mails is the address and the network that asks, never what we know.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from apps.consent import links, provenance, services
from apps.consent.facts import Entry, Trace
from apps.consent.models import (
    ConsentRecord,
    ConsentState,
    PendingSignup,
    SignupForm,
    Status,
    Topic,
    WordingVersion,
)
from apps.consent.recording import Statement
from apps.consent.signals import mail_wanted, signed_up
from apps.contacts import services as contacts
from apps.contacts.models import Contact
from apps.contacts.services import Claim, Directory, Mode
from apps.core.hashing import keyed_hash
from apps.core.pseudonyms import hide_ip

LIFETIME = timedelta(days=7)
# One address gets so many mails in that time, whoever asks and however often.
MAX_MAILS = 3
MAIL_WINDOW = timedelta(days=1)
MAIL_PAUSE = timedelta(minutes=1)
# One network may ask for so many addresses in that time.
MAX_PER_IP = 20
IP_WINDOW = timedelta(hours=1)
# What is left of a sign-up that nobody confirmed: that there was one.
KEPT = timedelta(days=30)
MAX_TEXT = 150
MAX_PHONE = 40
TEMPLATE = "confirm-signup"

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('consent.signup'), hashtext(%s))"


class BadEntry(Exception):
    """What was filled in can't be used; `problems` says why, field by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = dict(problems)


class Closed(Exception):
    """The form takes no sign-ups any more."""


class TooMany(Exception):
    """Too many sign-ups came from one network."""


class Expired(Exception):
    """The sign-up was not confirmed in time, or there never was one."""


@transaction.atomic
def sign_up(*, form: SignupForm, entry: Entry, now: datetime) -> PendingSignup:
    """Note that somebody asks, and ask back by mail. Raises Closed, BadEntry or TooMany."""
    if not form.is_active:
        raise Closed("This form is closed.")
    email, details = _read(form, entry)
    ip_hash = hide_ip(entry.trace.ip) if entry.trace.ip else ""
    _check_network(ip_hash, now)
    hashed = email_hash(email)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [hashed])
    signup, _ = PendingSignup.objects.update_or_create(
        form=form,
        email_hash=hashed,
        status=PendingSignup.Status.PENDING,
        defaults={
            "ip_hash": ip_hash,
            "details": details,
            "asked_at": now,
            "expires_at": now + LIFETIME,
        },
    )
    contact = None
    if not form.is_double_opt_in and not _has_refused(email, form):
        contact = _find_or_make_unproven(details, now)
    if contact is None:
        _mail(signup, now)
    else:
        _admit(signup, contact, ConsentRecord.Method.FORM, {}, entry.trace, now)
    return signup


def sign_up_or_pretend(*, form: SignupForm, entry: Entry, is_trapped: bool, now: datetime) -> UUID:
    """The same, for what comes from outside: a machine that fell into the trap learns nothing."""
    return uuid4() if is_trapped else sign_up(form=form, entry=entry, now=now).uuid


def may_come_from(form: SignupForm, origin: str) -> bool:
    """Whether a page of this origin may send the form; ours always may."""
    allowed = form.allowed_origins
    return not origin or not allowed or origin in (settings.BASE_URL, *allowed)


@transaction.atomic
def resend(*, signup_uuid: UUID, now: datetime) -> None:
    """Send the mail again, within the limits; nobody is told whether it was."""
    signup = PendingSignup.objects.pending().filter(uuid=signup_uuid).first()
    if signup is None or signup.expires_at <= now:
        return
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [signup.email_hash])
    _mail(PendingSignup.objects.select_for_update().get(pk=signup.pk), now)


def get_open(*, signup_uuid: UUID, now: datetime) -> PendingSignup:
    """The sign-up that waits for its confirmation, or has it. Raises Expired."""
    found = PendingSignup.objects.select_related("form").filter(uuid=signup_uuid).first()
    if found is None or found.status == PendingSignup.Status.EXPIRED:
        raise Expired("This sign-up was not confirmed in time.")
    if found.status == PendingSignup.Status.PENDING and found.expires_at <= now:
        raise Expired("This sign-up was not confirmed in time.")
    return found


@transaction.atomic
def confirm(*, signup_uuid: UUID, trace: Trace, now: datetime) -> PendingSignup:
    """Make whoever reads this address a contact who allowed what was asked. Raises Expired.

    Twice is as good as once.
    """
    PendingSignup.objects.select_for_update().filter(uuid=signup_uuid).first()
    signup = get_open(signup_uuid=signup_uuid, now=now)
    if signup.status == PendingSignup.Status.CONFIRMED:
        return signup
    claim = Claim(mode=Mode.IDENTIFY, is_trusted=True, email=signup.details["email"])
    (resolution,) = contacts.resolve(claims=[claim], now=now, directory=Directory([claim]))
    contact = Contact.objects.select_for_update().get(pk=resolution.contact_id or 0)
    _fill_in(contact, signup.details["texts"])
    evidence = {
        "confirmed_at": now.isoformat(),
        "confirmed_network": provenance.network_of(trace.ip),
    }
    _admit(signup, contact, ConsentRecord.Method.DOUBLE_OPT_IN, evidence, trace, now)
    return signup


@transaction.atomic
def expire(*, now: datetime) -> int:
    """Forget who did not confirm in time, and drop what is left of them a month later."""
    PendingSignup.objects.filter(
        status=PendingSignup.Status.EXPIRED, closed_at__lte=now - KEPT
    ).delete()
    return PendingSignup.objects.expired(now).update(
        status=PendingSignup.Status.EXPIRED, details={}, ip_hash="", closed_at=now
    )


def find_wording(form: SignupForm) -> WordingVersion | None:
    """The text that the form shows beside its button."""
    texts = WordingVersion.objects.filter(purpose=form.purpose_id, is_active=True)
    return texts.order_by("-created_at", "-pk").first()


# --- reading --------------------------------------------------------------------------------------


def _read(form: SignupForm, entry: Entry) -> tuple[str, dict[str, Any]]:
    """The address, and what is kept until it is confirmed."""
    problems: dict[str, str] = {}
    email = contacts.normalize_email(entry.email)
    if email is None:
        problems["email"] = "Write an e-mail address, such as ada@example.com."
    texts = {name: _cleaned(entry.texts.get(name, "")) for name in form.extra_fields}
    country = texts.get(SignupForm.Field.COUNTRY, "")
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        problems["country"] = "Write the country as two letters, such as IE."
    offered = set(form.topics.filter(is_active=True).values_list("key", flat=True))
    chosen = sorted(offered) if entry.topics is None else list(dict.fromkeys(entry.topics))
    if unknown := [key for key in chosen if key not in offered]:
        problems["topics"] = f"This form does not offer {_cleaned(unknown[0])[:40]!r}."
    elif offered and not chosen:
        problems["topics"] = "Choose what you would like to hear about."
    if email is None or problems:
        raise BadEntry(problems)
    details = {
        "email": email,
        "texts": {name: text for name, text in texts.items() if text},
        "topics": chosen,
        "network": provenance.network_of(entry.trace.ip),
        "source_url": provenance.page_of(entry.trace.source_url),
        "wording": wording.version if (wording := find_wording(form)) else "",
    }
    return email, details


def _cleaned(text: str) -> str:
    """One line of text that the database can hold."""
    shown = "".join(sign if sign.isprintable() else " " for sign in str(text))
    return " ".join(shown.split())[:MAX_TEXT]


def email_hash(email: str) -> str:
    return keyed_hash(f"email:{email}")


def _check_network(ip_hash: str, now: datetime) -> None:
    if not ip_hash:
        return
    recent = PendingSignup.objects.filter(ip_hash=ip_hash, asked_at__gt=now - IP_WINDOW)
    if recent.count() >= MAX_PER_IP:
        raise TooMany("Too many sign-ups came from your network. Please try again in an hour.")


# --- mail -----------------------------------------------------------------------------------------


def _mail(signup: PendingSignup, now: datetime) -> None:
    """Ask the address to confirm, unless it was asked often enough."""
    if not _may_mail(signup, now):
        return
    signup.mail_count += 1
    signup.mailed_at = now
    signup.save(update_fields=["mail_count", "mailed_at"])
    details = signup.details
    names = Topic.objects.filter(key__in=details["topics"]).order_by("name")
    mail_wanted.send(
        sender=PendingSignup,
        send_key=f"signup:{signup.pk}:{signup.mail_count}",
        template_key=TEMPLATE,
        email=details["email"],
        values={
            "first_name": details["texts"].get(SignupForm.Field.FIRST_NAME, ""),
            "links": {"confirm": links.confirm_url(signup.uuid)},
            "signup": {
                "form": signup.form.name,
                "topics": list(names.values_list("name", flat=True)),
                "days": LIFETIME.days,
            },
        },
        now=now,
    )


def _may_mail(signup: PendingSignup, now: datetime) -> bool:
    if signup.mailed_at and now - signup.mailed_at < MAIL_PAUSE:
        return False
    recent = PendingSignup.objects.filter(
        email_hash=signup.email_hash,
        asked_at__gt=now - MAIL_WINDOW - LIFETIME,
        mailed_at__gt=now - MAIL_WINDOW,
    )
    return (recent.aggregate(count=Sum("mail_count"))["count"] or 0) < MAX_MAILS


# --- letting in -----------------------------------------------------------------------------------


def _has_refused(email: str, form: SignupForm) -> bool:
    """Whether this address once said no: then nobody else's word opens it again."""
    refused = ConsentState.objects.filter(
        contact__email=email, purpose=form.purpose_id, status=Status.DENIED
    )
    return services.is_suppressed(email) or refused.exists()


def _find_or_make_unproven(details: dict[str, Any], now: datetime) -> Contact | None:
    """Somebody whose address is only told; a server's word about it will count more."""
    found = Contact.objects.filter(email=details["email"]).first()
    if found is not None:
        return found
    claim = Claim(mode=Mode.IDENTIFY, is_trusted=False, email=details["email"])
    (resolution,) = contacts.resolve(claims=[claim], now=now, directory=Directory([claim]))
    if resolution.contact_id is None:
        return None
    contact = Contact.objects.get(pk=resolution.contact_id)
    _fill_in(contact, details["texts"])
    return contact


def _admit(
    signup: PendingSignup,
    contact: Contact,
    method: ConsentRecord.Method,
    evidence: dict[str, Any],
    trace: Trace,
    now: datetime,
) -> None:
    """Record what was asked for, and forget what the row knew of the person."""
    form, details = signup.form, signup.details
    asked = {
        "form": form.key,
        "form_name": form.name,
        "asked_at": signup.asked_at.isoformat(),
        "asked_network": details["network"],
    }
    answers = {None: Status.GRANTED, **_left_out(form, contact, details["topics"])}
    answers |= dict.fromkeys(details["topics"], Status.GRANTED)
    statements = [
        Statement(
            contact_id=contact.pk,
            purpose=form.purpose.key,
            topic=topic,
            status=status,
            method=method,
            source=f"form {form.name}",
            source_url=details["source_url"],
            wording_version=details["wording"],
            ip=trace.ip,
            user_agent=trace.agent,
            evidence=asked | evidence,
        )
        for topic, status in answers.items()
    ]
    services.record_consents(statements=statements, now=now)
    topics = details["topics"]
    signup.status, signup.closed_at, signup.contact = signup.Status.CONFIRMED, now, contact
    signup.details, signup.ip_hash = {}, ""
    signup.save()
    signed_up.send(sender=PendingSignup, signup=signup, contact=contact, topics=topics, now=now)


def _left_out(form: SignupForm, contact: Contact, chosen: list[str]) -> dict[str | None, Status]:
    """Topics that the form offered and the person left out, if they never spoke of them before."""
    offered = form.topics.exclude(pk__in=chosen)
    told = ConsentState.objects.filter(contact=contact).exclude(topic=None)
    silent = offered.exclude(pk__in=told.values("topic"))
    return dict.fromkeys(silent.values_list("pk", flat=True), Status.DENIED)


def _fill_in(contact: Contact, texts: Mapping[str, str]) -> None:
    """Add what is not known yet; what is known, somebody at a form can't change."""
    missing = {name: text for name, text in texts.items() if not getattr(contact, name)}
    if SignupForm.Field.COUNTRY in missing:
        missing["country"] = missing["country"].upper()
    for name, text in missing.items():
        setattr(contact, name, text[: MAX_PHONE if name == SignupForm.Field.PHONE else MAX_TEXT])
    if missing:
        contact.save(update_fields=[*missing, "updated_at"])
