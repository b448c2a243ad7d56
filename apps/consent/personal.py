"""What the floors up to consent hold about people, and what the frameworks beside them do."""

from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import Q, QuerySet

from apps.accounts.models import AccessRecord
from apps.consent import rights, services
from apps.consent.models import (
    AnonymousConsent,
    ConsentRecord,
    ConsentState,
    LiftedSuppression,
    MailPreference,
    PendingSignup,
    PrivacyRequest,
    Restriction,
)
from apps.consent.registry import (
    Fate,
    Holding,
    Store,
    Subject,
    Table,
    register_holding,
    register_store,
)
from apps.consent.signups import email_hash
from apps.contacts.models import Contact, Identity, MergeLog, MergeSuggestion

ERASED = "(erased)"


def stop(subject: Subject, now: datetime) -> None:
    """Who has not confirmed yet is not asked again, and nobody is asked who they are."""
    hashes = [email_hash(email) for email in subject.emails]
    is_theirs = Q(email_hash__in=hashes) | Q(contact_id=subject.contact_id)
    PendingSignup.objects.filter(is_theirs).delete()
    either = Q(contact=subject.contact_id) | Q(other=subject.contact_id)
    MergeSuggestion.objects.filter(either).delete()


def erase(subject: Subject, now: datetime, limit: int) -> int:
    stop(subject, now)
    MailPreference.objects.filter(contact_id=subject.contact_id).delete()
    Restriction.objects.filter(contact_id=subject.contact_id).delete()
    hashes = [email_hash(email) for email in subject.emails]
    LiftedSuppression.objects.filter(email_hash__in=hashes).update(explanation="")
    rights.close_for_nobody(contact_id=subject.contact_id, now=now)
    _forget_in_reasons(subject)
    AnonymousConsent.objects.filter(browser__in=subject.browsers).exclude(browser="").delete()
    Identity.objects.filter(contact_id=subject.contact_id).delete()
    # Records of those who were merged into them are theirs too, and a merge log knows both.
    is_theirs = Q(pk=subject.contact_id) | Q(merged_into=subject.contact_id)
    count = sum(
        services.forget_evidence(contact=contact, now=now)
        for contact in Contact.objects.filter(is_theirs)
    )
    logs = Q(survivor=subject.contact_id) | Q(merged=subject.contact_id)
    count += MergeLog.objects.filter(logs).delete()[0]
    return count + _erase_staff_log(subject, limit)


def _forget_in_reasons(subject: Subject) -> None:
    """Why a request was refused or took longer is kept, unless staff has named the person there."""
    for request in PrivacyRequest.objects.filter(contact=subject.contact_id):
        for name in ("extension_reason", "outcome"):
            told = getattr(request, name).lower()
            if any(word in told for word in subject.words):
                PrivacyRequest.objects.filter(pk=request.pk).update(**{name: ERASED})


def _erase_staff_log(subject: Subject, limit: int) -> int:
    """The admin's own history names what was changed; of a person's pages the names go."""
    about = [Q(object_id=str(subject.contact_id), content_type__model="contact")]
    for word in subject.words:
        about += [Q(object_repr__icontains=word), Q(change_message__icontains=word)]
    lines = LogEntry.objects.filter(reduce(or_, about)).exclude(
        object_repr=ERASED, change_message=""
    )
    ids = list(lines.values_list("pk", flat=True)[:limit])
    LogEntry.objects.filter(pk__in=ids).update(object_repr=ERASED, change_message="")
    return len(ids)


def read_contact(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    contact = Contact.objects.get(pk=subject.contact_id)
    yield {
        "uuid": contact.uuid,
        "email": contact.email,
        "user_id": contact.external_id,
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "phone": contact.phone,
        "locale": contact.locale,
        "time_zone": contact.time_zone,
        "country": contact.country,
        "attributes": contact.attributes,
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
    }


def read_identities(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    for row in Identity.objects.filter(contact_id=subject.contact_id).order_by("pk"):
        yield {"kind": row.kind, "value": row.value, "linked_at": row.linked_at}


def read_consents(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    is_theirs = Q(contact=subject.contact_id) | Q(contact__merged_into=subject.contact_id)
    rows = ConsentRecord.objects.filter(is_theirs).order_by("pk")
    for row in rows.iterator(500):
        yield {
            "number": row.pk,
            "purpose": row.purpose_id,
            "topic": row.topic_id,
            "status": row.status,
            "method": row.method,
            "recorded_at": row.recorded_at,
            "source": row.source,
            "source_url": row.source_url,
            "network": row.ip_network,
            "browser": row.user_agent,
            "jurisdiction": row.jurisdiction,
            "wording_version": row.wording_version,
            "wording_hash": row.wording_hash,
            "evidence": row.evidence,
            "previous_hash": row.previous_hash,
            "record_hash": row.record_hash,
        }


def read_answers(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    rows = AnonymousConsent.objects.filter(browser__in=subject.browsers).exclude(browser="")
    for row in rows.order_by("pk").iterator(500):
        yield {
            "browser": row.browser,
            "action": row.action,
            "choice": row.choice,
            "wording": row.wording,
            "page": row.page,
            "network": row.ip_network,
            "browser_kind": row.user_agent,
            "recorded_at": row.recorded_at,
        }


def read_wishes(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    for row in MailPreference.objects.filter(contact=subject.contact_id):
        yield {"mails": row.frequency, "paused_until": row.paused_until, "said_at": row.changed_at}


def read_requests(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    """What they asked for before, by whom it was worked on left out."""
    rows = PrivacyRequest.objects.filter(contact=subject.contact_id).order_by("pk")
    for row in rows:
        yield {
            "asked_for": row.kind,
            "law": row.law,
            "details": row.details,
            "status": row.status,
            "received_at": row.received_at,
            "due_on": row.due_on,
            "extension_reason": row.extension_reason,
            "closed_at": row.closed_at,
            "outcome": row.outcome,
        }
    for since in Restriction.objects.filter(contact=subject.contact_id).values_list("since"):
        yield {"asked_for": "restrict", "status": "in force", "received_at": since[0]}


def read_accesses(subject: Subject, now: datetime) -> Iterator[dict[str, Any]]:
    """When somebody of staff looked; who it was is their own personal data."""
    for row in AccessRecord.objects.about(subject.contact_id).order_by("pk").iterator(500):
        yield {"at": row.accessed_at, "did": row.kind, "what": row.what}


def _old_evidence(before: datetime) -> QuerySet[ConsentRecord]:
    """Of records that something newer has replaced: what holds now has to be proved."""
    rows = ConsentRecord.objects.filter(recorded_at__lt=before, forgotten_at=None)
    return rows.exclude(pk__in=ConsentState.objects.values("record"))


def _forget_evidence(before: datetime, now: datetime, limit: int) -> int:
    records = list(_old_evidence(before).order_by("pk")[:limit])
    return services.forget_records(records=records, now=now)


def _old_answers(before: datetime) -> QuerySet[AnonymousConsent]:
    return AnonymousConsent.objects.filter(recorded_at__lt=before)


def _drop_answers(before: datetime, now: datetime, limit: int) -> int:
    ids = list(_old_answers(before).values_list("pk", flat=True)[:limit])
    AnonymousConsent.objects.filter(pk__in=ids).delete()
    return len(ids)


def _old_copies(before: datetime) -> QuerySet[PrivacyRequest]:
    return PrivacyRequest.objects.filter(closed_at__lt=before).exclude(file_until=None)


def _drop_copies(before: datetime, now: datetime, limit: int) -> int:
    copies = list(_old_copies(before)[:limit])
    for request in copies:
        rights.remove_copy(request)
    return len(copies)


STORES = (
    Store(
        "consent_evidence",
        "Evidence of consents that no longer hold",
        "Pages, networks, browsers and notes of records that a newer one has replaced. The "
        "records themselves stay, and their chain holds.",
        1095,
        lambda before: _old_evidence(before).count(),
        _forget_evidence,
    ),
    Store(
        "banner_answers",
        "Answers to the banner",
        "What browsers answered to the cookie banner. Keep them for as long as a yes lasts, and "
        "for as long as somebody may ask you to prove it.",
        1095,
        lambda before: _old_answers(before).count(),
        _drop_answers,
        least_days=395,
    ),
    Store(
        rights.COPIES,
        "Copies of somebody’s data",
        "The files that people asked for. For so long they can be downloaded.",
        14,
        lambda before: _old_copies(before).count(),
        _drop_copies,
        has_to_end=True,
    ),
)


def register() -> None:
    for store in STORES:
        register_store(store)
    register_holding(
        Holding(
            name="people",
            label="Who you are, and what you allow",
            order=50,
            fates={
                "contacts.Contact": {
                    Fate.ERASED: "uuid email external_id first_name last_name phone locale"
                    " time_zone country attributes"
                },
                "contacts.Identity": {Fate.ERASED: "value"},
                "contacts.MergeSuggestion": {Fate.IMPERSONAL: "source_name decided_by"},
                "contacts.MergeLog": {
                    Fate.ERASED: "before after",
                    Fate.IMPERSONAL: "merged_by undone_by",
                },
                "contacts.MergeMove": {
                    Fate.ERASED: "values",
                    Fate.IMPERSONAL: "table row_ids",
                },
                "consent.Purpose": {Fate.IMPERSONAL: "key name description"},
                "consent.Topic": {Fate.IMPERSONAL: "key name description"},
                "consent.WordingVersion": {Fate.IMPERSONAL: "language version text text_hash"},
                "consent.Jurisdiction": {Fate.IMPERSONAL: "key name law countries regions"},
                "consent.ConsentRecord": {
                    Fate.ERASED: "source source_url ip_network user_agent evidence salt",
                    Fate.HASHED: "personal_hash",
                    Fate.IMPERSONAL: "wording_version wording_hash jurisdiction previous_hash"
                    " record_hash",
                },
                "consent.SignupForm": {
                    Fate.IMPERSONAL: "key name intro button extra_fields allowed_origins"
                    " redirect_url"
                },
                "consent.PendingSignup": {Fate.ERASED: "uuid email_hash ip_hash details"},
                "consent.Banner": {Fate.IMPERSONAL: "title text policy_url"},
                "consent.CmpConnection": {Fate.IMPERSONAL: "name key"},
                "consent.CmpReceipt": {Fate.HASHED: "external_id"},
                "consent.ForeignSignal": {Fate.IMPERSONAL: "signal"},
                "consent.AnonymousConsent": {
                    Fate.ERASED: "browser choice wording page user_agent ip_network"
                },
                "consent.Suppression": {Fate.HASHED: "email_hash"},
                "consent.LiftedSuppression": {
                    Fate.HASHED: "email_hash",
                    Fate.ERASED: "explanation",
                    Fate.IMPERSONAL: "lifted_by",
                },
                "consent.PrivacyRequest": {
                    Fate.ERASED: "details extension_reason outcome",
                    Fate.IMPERSONAL: "uuid verified_by",
                },
                "consent.PrivacyRequestStep": {Fate.IMPERSONAL: "what by"},
                "consent.Retention": {Fate.IMPERSONAL: "key"},
                "consent.Erasure": {Fate.ERASED: "names", Fate.IMPERSONAL: "by counts"},
            },
            stop=stop,
            erase=erase,
            tables=(
                Table("contact", "Who you are", read_contact),
                Table("names", "Names by which we know you", read_identities),
                Table("consents", "What you allowed and refused", read_consents),
                Table("banner_answers", "What your browsers answered to the banner", read_answers),
                Table("wishes", "How often you want mail", read_wishes),
                Table("requests", "What you asked for about your data", read_requests),
                Table("accesses", "When staff looked at your data", read_accesses),
            ),
        )
    )
    # Staff's own; what they write about a contact goes through erase() above.
    register_holding(
        Holding(
            name="staff",
            label="Staff",
            order=60,
            fates={
                "accounts.User": {Fate.IMPERSONAL: "password username first_name last_name email"},
                "accounts.AccessRecord": {Fate.IMPERSONAL: "what contact_ids path"},
                "admin.LogEntry": {
                    Fate.ERASED: "object_repr change_message",
                    Fate.IMPERSONAL: "object_id",
                },
                "auth.Permission": {Fate.IMPERSONAL: "name codename"},
                "auth.Group": {Fate.IMPERSONAL: "name"},
                "contenttypes.ContentType": {Fate.IMPERSONAL: "app_label model"},
                "sessions.Session": {Fate.IMPERSONAL: "session_key session_data"},
                "django_celery_beat.CrontabSchedule": {
                    Fate.IMPERSONAL: "minute hour day_of_month month_of_year day_of_week"
                },
                "django_celery_beat.PeriodicTask": {
                    Fate.IMPERSONAL: "name task args kwargs queue exchange routing_key headers"
                    " description"
                },
            },
            erase=lambda subject, now, limit: 0,
        )
    )
