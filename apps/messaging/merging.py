"""What a merge of two contacts means for their mails."""

from django.db import connection
from django.db.models import Q

from apps.contacts import merging
from apps.contacts.registry import (
    Belonging,
    Merge,
    MergeLock,
    Moved,
    NotNow,
    register_belonging,
    register_merge_lock,
)
from apps.messaging.models import HANDED, QUEUED, Message

_RENAME = """
UPDATE messaging_message SET context = jsonb_set(context, '{cart_key}', to_jsonb(%s::text))
WHERE contact_id = %s AND status = 'queued' AND context ->> 'cart_key' = %s
RETURNING id
"""


def hold_mails(job: Merge) -> None:
    """Let no mail to either leave meanwhile; one that is on its way is waited for."""
    both = Q(contact_id__in=[job.survivor_id, job.merged_id])
    rows = Message.objects.filter(both, QUEUED | HANDED).order_by("id")
    list(rows.select_for_update().values_list("pk"))
    if Message.objects.filter(both, HANDED).exists():
        raise NotNow("A mail to one of the two is on its way right now. Try again in a minute.")


def merge(job: Merge) -> Moved:
    # Since they were held, the last step of an enrollment may have asked for one more.
    hold_mails(job)
    renamed: dict[str, str] = {}
    with connection.cursor() as cursor:
        for old, new in job.renamed.items():
            cursor.execute(_RENAME, [new, job.merged_id, old])
            renamed |= {str(pk): old for (pk,) in cursor.fetchall()}
    moved = merging.move_all(job, "messaging.Message")
    moved.values = {"carts": renamed} if renamed else {}
    return moved


def undo(job: Merge, moved: Moved) -> None:
    merging.move_back(job, moved, "messaging.Message")
    carts: dict[str, str] = moved.values.get("carts", {})
    for message in Message.objects.filter(QUEUED, pk__in=carts, contact=job.merged_id):
        message.context["cart_key"] = carts[str(message.pk)]
        message.save(update_fields=["context"])


def register() -> None:
    register_merge_lock(MergeLock("messaging", 20, hold_mails))
    register_belonging(Belonging("messaging.Message", 30, label="Mails", merge=merge, undo=undo))
