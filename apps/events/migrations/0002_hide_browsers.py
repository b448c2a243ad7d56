import zlib

from django.db import connection, migrations

from apps.core.pseudonyms import as_stored, hide_column, hide_ip

SHARDS = 16
ROWS_AT_ONCE = 1000
ADDRESSES = """
SELECT id, context ->> 'ip' FROM events_event
WHERE context ? 'ip' AND context ->> 'ip' <> '' AND context ->> 'ip' NOT LIKE 'ip\\_%%'
    AND jsonb_typeof(context -> 'ip') = 'string' AND id > %s
ORDER BY id LIMIT %s
"""
HIDE_ADDRESSES = """
UPDATE events_event AS event SET context = jsonb_set(context, '{ip}', to_jsonb(new.ip))
FROM unnest(%s::bigint[], %s::text[]) AS new (id, ip) WHERE event.id = new.id
"""


def hide(apps, schema_editor):
    """Browsers' IDs and IP addresses become pseudonyms; what is one already stays."""
    hide_column(table="events_event", column="anonymous_id")
    hide_addresses()
    for name in ("InboxEvent", "RejectedEvent"):
        model = apps.get_model("events", name)
        for event in model.objects.order_by("pk").iterator(ROWS_AT_ONCE):
            hide_waiting(event)


def hide_addresses():
    last = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(ADDRESSES, [last, ROWS_AT_ONCE])
            rows = cursor.fetchall()
            if not rows:
                return
            last = rows[-1][0]
            ids = [pk for pk, _ in rows]
            cursor.execute(HIDE_ADDRESSES, [ids, [hide_ip(address) for _, address in rows]])


def hide_waiting(event):
    """One that waits in the inbox, or was rejected: its payload, its keys and its lane."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    context = payload.get("context")
    for field in ("anonymousId",) if event.is_secret else ("anonymousId", "previousId"):
        if isinstance(payload.get(field), str | int) and str(payload[field]).strip():
            payload[field] = as_stored(str(payload[field]).strip())
    if isinstance(context, dict) and isinstance(context.get("ip"), str):
        address = context["ip"]
        context["ip"] = hide_ip(address) if address and not address.startswith("ip_") else address
    event.person_keys = [
        f"a:{as_stored(key[2:])}" if key.startswith("a:") else key for key in event.person_keys
    ]
    changed = ["payload", "person_keys"]
    browsers = [key for key in event.person_keys if key.startswith("a:")]
    if browsers and hasattr(event, "shard"):
        lane = browsers[-1] if payload.get("type") == "alias" else browsers[0]
        event.shard = zlib.crc32(lane.encode()) % SHARDS
        changed.append("shard")
    event.save(update_fields=changed)


class Migration(migrations.Migration):

    # Batch by batch: it can be broken off, and goes on where it was.
    atomic = False

    dependencies = [
        ('events', '0001_initial'),
    ]

    operations = [migrations.RunPython(hide, migrations.RunPython.noop, elidable=True)]
