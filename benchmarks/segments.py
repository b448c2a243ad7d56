"""Segments over 100,000 contacts and a million events: conditions against SQL written by hand."""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import connection

from apps.contacts.models import Contact
from apps.segments.compiler import Subject, contacts_matching, matching_pairs
from apps.segments.conditions import parse
from benchmarks import crowd
from benchmarks.ground import Ground
from benchmarks.results import Result

CONTACTS = 100_000
EVENTS = 1_000_000
ROUNDS = 5
ONE_BY_ONE = 100
# Those in Germany who have looked at shoes lately and not ordered.
CONDITION = {
    "all": [
        {"attribute": "country", "is": "DE"},
        {
            "did": "Product Viewed",
            "where": [{"property": "category", "is": "shoes"}],
            "at_least": 2,
            "within": "30 days",
        },
        {"did_not": "Order Completed", "within": "30 days"},
    ]
}
BY_HAND = """
SELECT count(*) FROM contacts_contact AS contact
JOIN (
    SELECT contact_id FROM events_event
    WHERE name = 'Product Viewed' AND properties ->> 'category' = 'shoes'
        AND occurred_at >= %(since)s
    GROUP BY contact_id HAVING count(*) >= 2
) AS viewer ON viewer.contact_id = contact.id
WHERE contact.country = 'DE' AND NOT EXISTS (
    SELECT FROM events_event AS placed
    WHERE placed.contact_id = contact.id AND placed.name = 'Order Completed'
        AND placed.occurred_at >= %(since)s
)
"""


def run(laid: Ground) -> list[Result]:
    now = datetime.now(UTC)
    crowd.add(laid, contacts=CONTACTS, events=EVENTS, now=now)
    condition = parse(CONDITION)
    asked = contacts_matching(condition, as_of=now)
    ours, by_hand = [], []
    for _ in range(ROUNDS):
        ours.append(_timed(asked.count))
        by_hand.append(_timed(lambda: _count_by_hand(now)))
    if asked.count() != _count_by_hand(now):
        raise RuntimeError("The two ways find different numbers of people.")
    ratio = statistics.median(mine / plain for mine, plain in zip(ours, by_hand, strict=True))
    people = Contact.objects.order_by("?").values_list("pk", flat=True)[:ONE_BY_ONE]
    subjects = [Subject(key=pk, contact_id=pk) for pk in people]
    checks = [partial(matching_pairs, condition, pairs=[one], as_of=now) for one in subjects]
    single = statistics.median(map(_timed, checks))
    return [
        Result(
            path=f"segment of {CONTACTS:,} contacts, {EVENTS:,} events",
            ours=f"{statistics.median(ours) * 1000:.0f} ms",
            bare=f"{statistics.median(by_hand) * 1000:.0f} ms",
            ratio=f"{ratio:.2f}×",
            budget="≤ 2×",
            is_met=ratio <= 2,
        ),
        Result(
            path="– the same condition, one contact",
            ours=f"{single * 1000:.1f} ms",
            bare="–",
            ratio="–",
            budget="< 5 ms",
            is_met=single < 0.005,
        ),
    ]


def _count_by_hand(now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(BY_HAND, {"since": now - timedelta(days=30)})
        return int(cursor.fetchone()[0])


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
