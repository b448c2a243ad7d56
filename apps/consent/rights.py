"""What becomes of people's requests about their data (GDPR Art. 15-21, CCPA).

Who asks has to prove that it is them: by the link that we mail to their address, or to staff. An
objection, or a no to selling and sharing, needs no proof: nothing is lost by it.
"""

import logging
from datetime import date, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction

from apps.consent import deadlines, erasure, export, links, policy, retention, services
from apps.consent.models import (
    ConsentRecord,
    PrivacyRequest,
    PrivacyRequestStep,
    Purpose,
    Restriction,
    Status,
    Suppression,
)
from apps.consent.recording import Statement
from apps.consent.signals import mail_wanted, restricted
from apps.contacts.models import Contact

logger = logging.getLogger(__name__)

Kind = PrivacyRequest.Kind
State = PrivacyRequest.Status

PROOF_LIFETIME = timedelta(days=7)
# The rule for how long a copy can be downloaded.
COPIES = "privacy_exports"
# Whoever writes a file is through by then.
LEFT_ALONE = timedelta(days=1)
# Nothing can be taken from somebody by these, so nobody has to prove anything.
WITHOUT_PROOF = frozenset({Kind.OBJECT, Kind.OPT_OUT})
PERSON = "the person"
CUEPOST = "Cuepost"
MAIL = "mail"


class NotPossible(Exception):
    """It can't be done with this request now; the text says why."""


@transaction.atomic
def ask(
    *, contact: Contact, kind: str, by: str, now: datetime, details: str = ""
) -> PrivacyRequest:
    """Take a request in. The person themselves (`by` PERSON) proves it by mail; staff has checked.

    Asked again while it is open, it is the same request: the mail is sent once more, or what staff
    says is the proof.
    """
    if kind == Kind.ERASE:
        erasure.stand_still(contact_id=contact.pk, now=now)
    Contact.objects.select_for_update().get(pk=contact.pk)
    known = PrivacyRequest.objects.filter(
        contact=contact, kind=kind, status__in=[State.UNVERIFIED, State.OPEN]
    ).first()
    request = known or _take_in(contact, kind, by, now, details)
    if request.status == State.UNVERIFIED and by != PERSON:
        return verify(request=request, by=by, now=now)
    if request.status == State.UNVERIFIED:
        _ask_for_proof(request, now)
    elif known is None:
        _work(request, now)
    return request


@transaction.atomic
def verify(*, request: PrivacyRequest, by: str, now: datetime) -> PrivacyRequest:
    """Somebody has proved who they are, or staff has checked it; what needs no hand is done."""
    if request.kind == Kind.ERASE:
        erasure.stand_still(contact_id=request.contact_id, now=now)
    request = _locked(request)
    if request.status != State.UNVERIFIED:
        return request
    if now - request.received_at > PROOF_LIFETIME and by == MAIL:
        raise NotPossible("The link has expired. Please ask once more.")
    request.status, request.verified_at, request.verified_by = State.OPEN, now, by[:150]
    request.save()
    _note(request, "identity proved", by, now)
    _work(request, now)
    return request


@transaction.atomic
def extend(*, request: PrivacyRequest, reason: str, by: str, now: datetime) -> None:
    """Take the longer time that the law grants once; the person has to be told why."""
    request = _locked(request)
    if request.status != State.OPEN or request.is_extended:
        raise NotPossible("Only an open request can be extended, and only once.")
    if request.kind == Kind.OPT_OUT and request.law == PrivacyRequest.Law.CCPA:
        raise NotPossible("The law grants no longer time for this.")
    request.is_extended, request.extension_reason = True, reason[:300]
    request.due_on = _due_on(request, is_extended=True)
    request.save()
    _note(request, "extended", by, now)


@transaction.atomic
def close(*, request: PrivacyRequest, is_done: bool, outcome: str, by: str, now: datetime) -> None:
    """Staff has done it by hand, or refuses it for a reason that the law knows."""
    request = _locked(request)
    if request.status not in (State.OPEN, State.UNVERIFIED):
        raise NotPossible("It is closed already.")
    if is_done and request.status != State.OPEN:
        raise NotPossible("First check who asks.")
    _close(request, State.DONE if is_done else State.REFUSED, outcome, by, now)


@transaction.atomic
def lift_restriction(*, request: PrivacyRequest, by: str, now: datetime) -> None:
    """Use the data again; the person has to be told before (GDPR Art. 18 (3))."""
    Restriction.objects.filter(contact=request.contact_id).delete()
    _note(request, "restriction lifted", by, now)


def go_on(*, now: datetime) -> int:
    """Write the copies that are due, end what nobody confirmed, remove old files; count them."""
    count = _expire(now)
    for request in PrivacyRequest.objects.open().filter(kind=Kind.EXPORT).order_by("pk"):
        count += _hand_out(request, now)
    for request in PrivacyRequest.objects.filter(file_until__lte=now):
        remove_copy(request)
        count += 1
    return count + _tidy(now)


def remove_copy(request: PrivacyRequest) -> None:
    path_of(request).unlink(missing_ok=True)
    PrivacyRequest.objects.filter(pk=request.pk).update(file_until=None)


def find_copy(request: PrivacyRequest, now: datetime) -> Path | None:
    """The copy, for as long as it may be downloaded."""
    if request.file_until is None or request.file_until <= now:
        return None
    path = path_of(request)
    return path if path.is_file() else None


def can_mail(contact: Contact) -> bool:
    """Whether a link reaches them; otherwise staff has to find out whether it is them."""
    if not contact.email:
        return False
    found = services.find_suppression(contact.email)
    return found is None or found.reason in Suppression.REVOCABLE


@transaction.atomic
def close_for_nobody(*, contact_id: int, now: datetime) -> None:
    """What an erased person asked for before; that they asked is kept, a copy of their data not."""
    rows = PrivacyRequest.objects.filter(contact=contact_id)
    for request in rows.exclude(status__in=[State.UNVERIFIED, State.OPEN], file_until=None):
        remove_copy(request)
    rows.update(details="")
    for request in rows.filter(status__in=[State.UNVERIFIED, State.OPEN]).select_for_update():
        _close(request, State.EXPIRED, "They were erased meanwhile.", CUEPOST, now)


def path_of(request: PrivacyRequest) -> Path:
    """Where the copy lies."""
    return _folder() / f"{request.uuid.hex}.zip"


def _folder() -> Path:
    return Path(settings.CUEPOST_HOME) / "exports"


# --- inside ---------------------------------------------------------------------------------------


def _take_in(contact: Contact, kind: str, by: str, now: datetime, details: str) -> PrivacyRequest:
    is_proved = by != PERSON or kind in WITHOUT_PROOF
    request = PrivacyRequest(
        contact=contact,
        kind=kind,
        law=_law_of(contact),
        details=details[:2000],
        status=State.OPEN if is_proved else State.UNVERIFIED,
        received_at=now,
        verified_at=now if is_proved else None,
        verified_by=by[:150] if is_proved else "",
    )
    request.due_on = _due_on(request)
    request.save()
    _note(request, "received", by, now)
    return request


def _law_of(contact: Contact) -> str:
    place = policy.jurisdictions_of([contact.pk]).get(contact.pk, "")
    return PrivacyRequest.Law.CCPA if place.startswith("US") else PrivacyRequest.Law.GDPR


def _due_on(request: PrivacyRequest, *, is_extended: bool = False) -> date:
    return deadlines.due_on(
        law=request.law,
        kind=request.kind,
        received_on=request.received_at.date(),
        is_extended=is_extended,
    )


def _ask_for_proof(request: PrivacyRequest, now: datetime) -> None:
    if not request.contact.email or not can_mail(request.contact):
        return
    mail_wanted.send(
        sender=PrivacyRequest,
        # One a day at most, however often somebody presses the button.
        send_key=f"privacy:{request.pk}:{now.date()}",
        template_key="privacy-confirm",
        email=request.contact.email,
        values={
            "links": {"confirm": links.privacy_confirm_url(request.uuid)},
            "request": {"kind": request.get_kind_display(), "days": PROOF_LIFETIME.days},
        },
        now=now,
    )


def _work(request: PrivacyRequest, now: datetime) -> None:
    """Do at once what takes no time; a copy is written by go_on(), a correction by staff."""
    contact = request.contact
    match request.kind:
        case Kind.ERASE:
            erasure.begin(contact=contact, by=request.verified_by, now=now)
            outcome = "Everything about them was erased."
        case Kind.RESTRICT:
            Restriction.objects.get_or_create(contact=contact, defaults={"since": now})
            restricted.send(sender=Restriction, contact_ids=[contact.pk], now=now)
            outcome = "Their data is kept and not used."
        case Kind.OBJECT:
            _refuse(request, Purpose.EMAIL_MARKETING, now)
            _refuse(request, Purpose.PERSONALISATION, now)
            outcome = "They get no marketing mail."
        case Kind.OPT_OUT:
            _refuse(request, Purpose.SALE_OR_SHARING, now)
            outcome = "Their data is neither sold nor shared."
        case _:
            return
    _close(request, State.DONE, outcome, CUEPOST, now)


def _refuse(request: PrivacyRequest, purpose: str, now: datetime) -> None:
    is_own = request.verified_by == PERSON
    method = ConsentRecord.Method.PREFERENCE_CENTER if is_own else ConsentRecord.Method.STAFF
    statement = Statement(
        contact_id=request.contact_id,
        purpose=purpose,
        status=Status.DENIED,
        method=method,
        source=f"privacy request {request.pk}",
    )
    services.record_consents(statements=[statement], now=now)


def _hand_out(request: PrivacyRequest, now: datetime) -> int:
    """Write one copy and mail where it lies."""
    try:
        export.write(
            contact=request.contact, path=path_of(request), by=request.verified_by, now=now
        )
    except export.Busy:
        return 0
    except OSError:
        logger.exception("The copy for privacy request %d can't be written.", request.pk)
        return 0
    with transaction.atomic():
        request = _locked(request)
        if request.status != State.OPEN:
            path_of(request).unlink(missing_ok=True)
            return 0
        lifetime = retention.lifetime_of(COPIES)
        request.file_until = now + lifetime
        _close(request, State.DONE, "They can download the copy.", CUEPOST, now)
        if request.contact.email:
            mail_wanted.send(
                sender=PrivacyRequest,
                send_key=f"privacy-ready:{request.pk}",
                template_key="privacy-ready",
                email=request.contact.email,
                values={
                    "links": {"download": links.privacy_download_url(request.uuid)},
                    "request": {"days": lifetime.days},
                },
                now=now,
            )
    return 1


def _tidy(now: datetime) -> int:
    """Remove files that belong to no request any more: of a writer that died, say."""
    kept = {path_of(row).name for row in PrivacyRequest.objects.exclude(file_until=None)}
    lost = [
        path
        for path in _folder().glob("*")
        if path.name not in kept and path.stat().st_mtime < (now - LEFT_ALONE).timestamp()
    ]
    for path in lost:
        path.unlink(missing_ok=True)
    return len(lost)


def _expire(now: datetime) -> int:
    """Who never proved that it was them asked for nothing."""
    late = PrivacyRequest.objects.filter(
        status=State.UNVERIFIED, received_at__lte=now - PROOF_LIFETIME
    )
    return sum(_end(request, now) for request in late.select_related("contact"))


@transaction.atomic
def _end(request: PrivacyRequest, now: datetime) -> bool:
    """Whom no mail reaches, staff has to check; those stay."""
    request = _locked(request)
    if request.status != State.UNVERIFIED or not can_mail(request.contact):
        return False
    request.details = ""
    _close(request, State.EXPIRED, "", CUEPOST, now)
    return True


def _close(request: PrivacyRequest, status: str, outcome: str, by: str, now: datetime) -> None:
    request.status, request.outcome, request.closed_at = status, outcome[:300], now
    request.save()
    _note(request, status, by, now)


def _note(request: PrivacyRequest, what: str, by: str, now: datetime) -> None:
    PrivacyRequestStep.objects.create(request=request, what=what, by=by[:150], at=now)


def _locked(request: PrivacyRequest) -> PrivacyRequest:
    rows = PrivacyRequest.objects.select_for_update(of=("self",)).select_related("contact")
    return rows.get(pk=request.pk)
