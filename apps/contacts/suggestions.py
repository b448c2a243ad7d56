"""Who may be one person: noted as events say so, and decided by staff; guests need no decision."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection, transaction

from apps.contacts import merging
from apps.contacts.identification import Conflict, is_guest_of
from apps.contacts.merging import CantMerge
from apps.contacts.models import UNDECIDED, MergeLog, MergeSuggestion
from apps.contacts.registry import NotNow

BY_ALIAS = "an alias call"
BY_MERGE = "another merge"
LIMIT = 50

# A pair that staff has refused stays refused.
_RECORD = """
INSERT INTO contacts_mergesuggestion AS old (
    contact_id, other_id, reason, status, event_id, source_name, count, first_seen_at,
    last_seen_at, decided_by
)
SELECT contact_id, other_id, reason, status, event_id, source_name, count, %(now)s, %(now)s, ''
FROM jsonb_to_recordset(%(rows)s::jsonb) AS new (
    contact_id bigint, other_id bigint, reason text, status text, event_id bigint,
    source_name text, count int
)
WHERE NOT EXISTS (
    SELECT FROM contacts_mergesuggestion AS past WHERE past.status = 'refused'
        AND past.contact_id IN (new.contact_id, new.other_id)
        AND past.other_id IN (new.contact_id, new.other_id)
)
ON CONFLICT (LEAST(contact_id, other_id), GREATEST(contact_id, other_id))
    WHERE status IN ('open', 'due')
DO UPDATE SET
    count = old.count + excluded.count, last_seen_at = excluded.last_seen_at,
    event_id = excluded.event_id, source_name = excluded.source_name,
    status = CASE WHEN excluded.status = 'due' THEN 'due' ELSE old.status END,
    reason = CASE WHEN excluded.status = 'due' THEN excluded.reason ELSE old.reason END,
    contact_id = CASE WHEN excluded.status = 'due' THEN excluded.contact_id ELSE old.contact_id END,
    other_id = CASE WHEN excluded.status = 'due' THEN excluded.other_id ELSE old.other_id END
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event that took two contacts for one."""

    conflict: Conflict
    event_id: int
    source_name: str


def record(*, found: Iterable[Evidence], now: datetime) -> None:
    """Note these events, each pair once; call inside the transaction that works them in."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for one in found:
        contact_id, other_id = one.conflict.contact_id, one.conflict.other_id
        pair = (min(contact_id, other_id), max(contact_id, other_id))
        earlier = rows.get(pair)
        is_due = one.conflict.is_due or (earlier is not None and earlier["status"] == "due")
        rows[pair] = {
            "contact_id": contact_id,
            "other_id": other_id,
            "reason": one.conflict.reason,
            "status": "due" if is_due else "open",
            "event_id": one.event_id,
            "source_name": one.source_name,
            "count": 1 + (earlier["count"] if earlier else 0),
        }
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(
                _RECORD, {"rows": msgspec.json.encode(list(rows.values())).decode(), "now": now}
            )


@transaction.atomic
def accept(*, suggestion_id: int, is_swapped: bool, by: str, now: datetime) -> MergeLog:
    """Merge the two; swapped, the other one stays. Raises CantMerge, or NotNow for a moment."""
    row = _decide(suggestion_id, MergeSuggestion.Status.ACCEPTED, by, now)
    pair = (row.contact_id, row.other_id)
    survivor_id, merged_id = reversed(pair) if is_swapped else pair
    return merging.merge(
        survivor_id=survivor_id, merged_id=merged_id, suggestion=row, by=by, now=now
    )


@transaction.atomic
def refuse(*, suggestion_id: int, by: str, now: datetime) -> None:
    """Note that they are two people; the pair is not suggested again."""
    _decide(suggestion_id, MergeSuggestion.Status.REFUSED, by, now)


def merge_due(*, now: datetime) -> int:
    """Merge the guests that turned out to be somebody known; answer how many."""
    due = MergeSuggestion.objects.filter(status=MergeSuggestion.Status.DUE)
    ids = list(due.order_by("id").values_list("pk", flat=True)[:LIMIT])
    return sum(_merge_guest(pk, now) for pk in ids)


def _merge_guest(suggestion_id: int, now: datetime) -> bool:
    try:
        with transaction.atomic():
            row = MergeSuggestion.objects.select_related("contact", "other").get(pk=suggestion_id)
            if row.status != MergeSuggestion.Status.DUE:
                return False
            if is_guest_of(row.other, row.contact):
                accept(suggestion_id=suggestion_id, is_swapped=False, by=BY_ALIAS, now=now)
                return True
    except NotNow:
        return False
    except CantMerge:
        with transaction.atomic():
            _decide(suggestion_id, MergeSuggestion.Status.REFUSED, BY_MERGE, now)
        return False
    # Since then the guest got a user ID of their own, or another address.
    due = MergeSuggestion.objects.filter(pk=suggestion_id, status=MergeSuggestion.Status.DUE)
    due.update(status=MergeSuggestion.Status.OPEN)
    return False


def _decide(
    suggestion_id: int, status: MergeSuggestion.Status, by: str, now: datetime
) -> MergeSuggestion:
    row = MergeSuggestion.objects.select_for_update().get(pk=suggestion_id)
    if not MergeSuggestion.objects.filter(UNDECIDED, pk=row.pk).exists():
        raise CantMerge("Somebody has decided on this before.")
    row.status, row.decided_at, row.decided_by = status, now, by[:150]
    row.save(update_fields=["status", "decided_at", "decided_by"])
    return row
