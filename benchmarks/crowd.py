"""Many people with a long history, written straight into the tables."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.events import partitions
from benchmarks.ground import Ground

HISTORY = timedelta(days=120)
MONTHS = 5

# Numbers in names go on from the last filling.
PEOPLE = """
WITH person AS (
    INSERT INTO contacts_contact (uuid, external_id, first_name, last_name, phone, locale,
        time_zone, country, attributes, is_test, created_at, updated_at)
    SELECT gen_random_uuid(), 'many-' || %(last)s + n, 'Ada', 'Example', '', '', '',
        (ARRAY['DE', 'FR', 'GB', 'US', 'NL'])[1 + n %% 5], '{}', false, now(), now()
    FROM generate_series(1, %(contacts)s) AS n
    RETURNING id, external_id
)
INSERT INTO contacts_identity (contact_id, kind, value, is_trusted, linked_at)
SELECT id, 'user_id', external_id, true, now() FROM person
"""
EVENTS = """
INSERT INTO events_event (contact_id, anonymous_id, type, name, properties, context, source_id,
    message_id, is_trusted, is_backfill, received_at, occurred_at)
SELECT %(last)s - n %% %(contacts)s, '', 'track',
    CASE n / %(contacts)s %% 10 WHEN 0 THEN 'Order Completed' WHEN 1 THEN 'Product Added'
        ELSE 'Product Viewed' END,
    jsonb_build_object('category', (ARRAY['shoes', 'coats', 'hats'])[1 + (random() * 2)::int],
        'price', (random() * 100)::int, 'product_id', 'sku-' || n),
    '{}', %(source)s, gen_random_uuid()::text, true, true, at, at
FROM generate_series(1, %(events)s) AS n
CROSS JOIN LATERAL (SELECT %(now)s - random() * %(history)s + n * interval '0') AS moment (at)
"""
CARTS = """
WITH cart AS (
    INSERT INTO commerce_cart (key, is_keyed_by_shop, contact_id, anonymous_id, is_trusted, status,
        currency, url, created_at, changed_at)
    SELECT 'many-' || %(last)s - n, true, %(last)s - n, '', true, 'open', 'EUR', '', %(then)s,
        %(then)s
    FROM generate_series(0, %(contacts)s - 1) AS n
    RETURNING id
)
INSERT INTO commerce_cartitem (cart_id, product_key, name, quantity, url, image_url, added_at)
SELECT id, 'house-blend', 'House blend', 1, '', '', %(then)s FROM cart
"""
# One in the middle of a long wait and two that are over, for each person.
ENROLLMENTS = """
WITH enrollment AS (
    INSERT INTO workflows_enrollment (workflow_id, version_id, contact_id, entry_key, context,
        status, pc, wake_at, deadline_at, waiting_for, restart_count, started_at, entered_at,
        finished_at, exit_reason, exit_values)
    SELECT workflow_id, id, %(last)s - n / 3, 'many-' || n, '{}',
        CASE n %% 3 WHEN 0 THEN 'live' ELSE 'completed' END, 0,
        CASE n %% 3 WHEN 0 THEN %(now)s + %(history)s END,
        CASE n %% 3 WHEN 0 THEN %(now)s + %(history)s END, '', 0, %(then)s, %(then)s,
        CASE n %% 3 WHEN 0 THEN NULL ELSE %(then)s END, '', '{}'
    FROM workflows_workflowversion
    CROSS JOIN generate_series(0, 3 * %(contacts)s - 1) AS n
    WHERE id = %(version)s
    RETURNING id
)
INSERT INTO workflows_steplog (enrollment_id, step_id, action, outcome, values, logged_at)
SELECT enrollment.id, 'quiet', 'wait', '', '{}', %(then)s
FROM enrollment CROSS JOIN generate_series(1, 3)
"""
MESSAGES = """
INSERT INTO messaging_message (public_id, send_key, contact_id, template_version_id, purpose_id,
    context, origin_type, origin_id, step_id, status, reason, reason_values, gate, priority, due_at,
    attempt, failure_count, email, provider_id, consent_record_id, queued_at, gated_at, sent_at,
    closed_at)
SELECT gen_random_uuid(), gen_random_uuid()::text, %(last)s - n / 5, %(text)s, 'email_marketing',
    '{}', 'many', n, 'send', 'sent', '', '{}', '[]', 0, %(then)s, 1, 0, '', '', %(consent)s,
    %(then)s, %(then)s, %(then)s, %(then)s
FROM generate_series(0, 5 * %(contacts)s - 1) AS n
"""
NUMBERS = """
SELECT (SELECT max(id) FROM contacts_contact),
    (SELECT live_version_id FROM workflows_workflow WHERE live_version_id IS NOT NULL LIMIT 1),
    (SELECT max(id) FROM messaging_templateversion), (SELECT max(id) FROM consent_consentrecord)
"""


def add(laid: Ground, *, contacts: int, events: int, now: datetime, is_whole: bool = False) -> None:
    """Add people and what they did; with `is_whole` also their carts, enrollments and mails."""
    days = [now - HISTORY * part / MONTHS / 4 for part in range(MONTHS * 4 + 1)]
    partitions.ensure(months={partitions.month_in_utc(day) for day in days})
    known: dict[str, Any] = {"contacts": contacts, "events": events, "now": now}
    known |= {"source": laid.source.pk, "history": HISTORY, "then": now - HISTORY}
    with connection.cursor() as cursor:
        cursor.execute(NUMBERS)
        cursor.execute(PEOPLE, {**known, "last": cursor.fetchone()[0]})
        cursor.execute(NUMBERS)
        known |= dict(zip(("last", "version", "text", "consent"), cursor.fetchone(), strict=True))
        for statement in (EVENTS, *((CARTS, ENROLLMENTS, MESSAGES) if is_whole else ())):
            cursor.execute(statement, known)
        cursor.execute("VACUUM ANALYZE")
