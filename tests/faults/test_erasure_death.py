"""An erasure is killed three times: in the end nothing is left, and all that counts is."""

import time

from tests.faults.installation import Installation

EVENTS, DEATHS = 30_000, 3
MONTH = """
from django.utils import timezone
from apps.events import partitions
partitions.ensure_ahead(now=timezone.now())
"""
GO_ON = "from apps.consent.tasks import finish_erasures; finish_erasures()"
# One person with many events of their browser and their own.
SEED = """
INSERT INTO contacts_contact (
    uuid, email, external_id, first_name, last_name, phone, locale, time_zone, country, attributes,
    is_test, created_at, updated_at
) VALUES (
    gen_random_uuid(), 'ada@example.com', 'customer-8151', 'Ada', 'Lovelace', '', '', '', '', '{}',
    false, now(), now()
)
"""
EVENTS_OF = """
INSERT INTO events_event (
    contact_id, anonymous_id, type, name, properties, context, source_id, message_id, is_trusted,
    is_backfill, received_at, occurred_at
)
SELECT
    contact.id, 'b_ada', 'track', 'Product Viewed',
    jsonb_build_object('product_id', 'cup', 'price', 11, 'note', 'for ada@example.com'), '{}',
    source.id, 'customer-8151-' || number, true, false, now(), now()
FROM contacts_contact AS contact, events_source AS source, generate_series(1, %s) AS number
WHERE contact.email = 'ada@example.com' AND source.id = (SELECT min(id) FROM events_source)
"""
LEFT = "SELECT count(*) FROM events_event WHERE contact_id IS NOT NULL AND anonymous_id = 'b_ada'"
TRACES = """
SELECT count(*) FROM events_event
WHERE position('ada@' IN lower(events_event::text)) > 0
    OR position('customer' IN events_event::text) > 0
"""


def left(installation: Installation) -> int:
    return int(installation.query(LEFT)[0][0])


def test_an_erasure_that_is_killed_goes_on(installation):
    installation.manage("shell", "--verbosity=0", "-c", MONTH)
    installation.query(SEED)
    installation.query(EVENTS_OF, EVENTS)
    worker = installation.spawn("manage.py", "privacy_erase", "ada@example.com", "--yes")
    deaths = 0
    while left(installation) == EVENTS:
        assert worker.poll() is None
        time.sleep(0.02)

    while deaths < DEATHS and (before := left(installation)):
        worker.kill()
        worker.wait()
        deaths += 1
        worker = installation.spawn("manage.py", "shell", "-c", GO_ON)
        while left(installation) == before:
            assert worker.poll() is None
            time.sleep(0.02)
    worker.wait(60)

    assert deaths == DEATHS
    assert installation.query(TRACES) == [(0,)]
    assert installation.query(
        "SELECT count(*), count(*) FILTER (WHERE name = 'Product Viewed') FROM events_event"
        ' WHERE properties = \'{"price": 11, "product_id": "cup"}\''
    ) == [(EVENTS, EVENTS)]
    assert installation.query(
        "SELECT names, finished_at IS NOT NULL, (counts ->> 'events')::int <= %s"
        " FROM consent_erasure",
        EVENTS,
    ) == [({}, True, True)]
