"""What pages tell of privacy requests: what has to be done, and how well it is done."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.urls import reverse

from apps.consent.models import PrivacyRequest
from apps.consent.rights import PROOF_LIFETIME
from apps.core.registry import Finding
from apps.core.wording import counted

YEAR = timedelta(days=365)

_NUMBERS = """
SELECT kind, count(*),
    count(*) FILTER (WHERE status = 'done'),
    count(*) FILTER (WHERE status = 'refused'),
    count(*) FILTER (WHERE status IN ('done', 'refused')
        AND (closed_at AT TIME ZONE 'UTC')::date > due_on),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM closed_at - received_at) / 86400)
        FILTER (WHERE status IN ('done', 'refused'))
FROM consent_privacyrequest WHERE received_at >= %s GROUP BY kind
"""


@dataclass(frozen=True)
class Numbers:
    """Requests of one kind; `median_days` is None where none was answered."""

    kind: str
    received: int
    done: int
    refused: int
    late: int
    median_days: float | None


def report_requests(now: datetime) -> list[Finding]:
    """For the admin's first page."""
    rows = PrivacyRequest.objects
    late = rows.overdue(now.date()).count()
    waiting = rows.open().count() - late
    unchecked = rows.to_be_checked(now - PROOF_LIFETIME).count()
    url = reverse("admin:consent_privacyrequest_changelist")
    found = (
        ("Overdue", late, "danger", "overdue"),
        ("To be checked", unchecked, "warning", "check"),
        ("To be answered", waiting, "warning", "open"),
    )
    return [
        Finding(label, counted(count, "privacy request"), tone=tone, url=f"{url}?due={which}")
        for label, count, tone, which in found
        if count > 0
    ]


def measure_requests(now: datetime) -> list[Numbers]:
    """Of the last twelve months, by kind: what the CCPA wants published of larger shops
    (Cal. Code Regs. tit. 11, §7102).
    """
    names = dict(PrivacyRequest.Kind.choices)
    with connection.cursor() as cursor:
        cursor.execute(_NUMBERS, [now - YEAR])
        found = {kind: Numbers(names[kind], *rest) for kind, *rest in cursor.fetchall()}
    return [found[kind] for kind in names if kind in found]
