"""Two contacts become one, and two again: what either has moves, and each move is written down.

The merged contact stays as an empty row that points to the survivor, so that links in old mails and
sealed consent records still lead somewhere. To undo it, each row goes back by its number; what came
in the meantime stays with the survivor, since nobody knows whose it is.

While it runs nothing else works on the two: first the floors above bring what they run to a stop,
each by its lock, then the names and the rows of the two are locked, as identification does it.
"""

from datetime import datetime
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from apps.contacts import identification, registry
from apps.contacts.models import Contact, Identity, MergeLog, MergeMove, MergeSuggestion
from apps.contacts.registry import Belonging, Merge, Moved, register_belonging
from apps.core.database import number_array

NAMES = ("email", "external_id")
TEXTS = ("first_name", "last_name", "phone", "locale", "time_zone", "country")
COLUMNS = (*NAMES, *TEXTS, "attributes")
_EMPTY: dict[str, Any] = {
    **dict.fromkeys(NAMES),
    **dict.fromkeys(TEXTS, ""),
    "attributes": {},
}


class CantMerge(Exception):
    """The two can't be merged, or parted, as they are; the text says why."""


@transaction.atomic
def merge(
    *,
    survivor_id: int,
    merged_id: int,
    by: str,
    now: datetime,
    suggestion: MergeSuggestion | None = None,
) -> MergeLog:
    """Make one contact of two; raise CantMerge, or NotNow where a moment's wait helps."""
    if survivor_id == merged_id:
        raise CantMerge("They are one contact already.")
    job = Merge(survivor_id, merged_id, now, merged_at=now)
    survivor, merged = _lock(job)
    if _is_gone(survivor) or _is_gone(merged):
        raise CantMerge("One of the two was erased, or merged with somebody else.")
    before = {"survivor": values_of(survivor), "merged": values_of(merged)}
    log = MergeLog.objects.create(
        survivor=survivor,
        merged=merged,
        suggestion=suggestion,
        before=before,
        merged_at=now,
        merged_by=by[:150],
    )
    _write_names(merged, now)
    # First of all: nobody else may have the names when the survivor gets them.
    Contact.objects.filter(pk=merged_id).update(**_EMPTY, merged_into=survivor, updated_at=now)
    log.after = combined(before["survivor"], before["merged"])
    Contact.objects.filter(pk=survivor_id).update(**log.after, updated_at=now)
    log.save(update_fields=["after"])
    moves = [_move(belonging, job, log) for belonging in registry.belongings()]
    MergeMove.objects.bulk_create([move for move in moves if move.row_ids or move.values])
    return log


@transaction.atomic
def undo(*, log_id: int, by: str, now: datetime) -> MergeLog:
    """Make two contacts of one again; raise CantMerge, or NotNow where a moment's wait helps."""
    known = MergeLog.objects.get(pk=log_id)
    job = Merge(known.survivor_id, known.merged_id, now, merged_at=known.merged_at)
    survivor, merged = _lock(job)
    log = MergeLog.objects.select_for_update().get(pk=log_id)
    if log.undone_at is not None:
        raise CantMerge("This merge was undone before.")
    if _is_gone(survivor):
        raise CantMerge(
            "The contact that stayed was erased, or merged into another one since. Undo the later "
            "merge first."
        )
    if merged.merged_into_id != survivor.pk or merged.erased_at is not None:
        raise CantMerge("What was merged is no part of this contact any more.")
    _restore(survivor, merged, log, now)
    moves = {move.table: move for move in log.moves.all()}
    for belonging in reversed(registry.belongings()):
        if move := moves.get(belonging.name):
            _move_back(belonging, job, Moved(move.row_ids, move.values))
    log.undone_at, log.undone_by = now, by[:150]
    log.save(update_fields=["undone_at", "undone_by"])
    MergeSuggestion.objects.filter(merges=log).update(
        status=MergeSuggestion.Status.REFUSED, decided_at=now, decided_by=by[:150]
    )
    return log


def values_of(contact: Contact) -> dict[str, Any]:
    return {column: getattr(contact, column) for column in COLUMNS}


def combined(survivor: dict[str, Any], merged: dict[str, Any]) -> dict[str, Any]:
    """What one knows of two: the survivor's word counts, the other's fills the gaps."""
    after = {column: survivor[column] or merged[column] for column in COLUMNS}
    return {**after, "attributes": {**merged["attributes"], **survivor["attributes"]}}


# ---- Standing still ----


def _lock(job: Merge) -> tuple[Contact, Contact]:
    for lock in registry.merge_locks():
        lock.take(job)
    both = [job.survivor_id, job.merged_id]
    identification.lock_names(_names_of(both))
    rows = Contact.objects.filter(pk__in=both).order_by("pk").select_for_update()
    found = {contact.pk: contact for contact in rows}
    if len(found) < len(both):
        raise CantMerge("One of the two is gone.")
    return found[job.survivor_id], found[job.merged_id]


def _names_of(contact_ids: list[int]) -> set[tuple[str, str]]:
    rows = Identity.objects.filter(contact__in=contact_ids)
    names = set(rows.values_list("kind", "value"))
    for email, user_id in Contact.objects.filter(pk__in=contact_ids).values_list(*NAMES):
        names |= {(Identity.Kind.EMAIL.value, email or ""), ("user_id", user_id or "")}
    return names


def _write_names(contact: Contact, now: datetime) -> None:
    """Staff and imports may have made it without: then only its columns lead to it."""
    named = ((Identity.Kind.EMAIL, contact.email), (Identity.Kind.USER_ID, contact.external_id))
    Identity.objects.bulk_create(
        [
            Identity(contact=contact, kind=kind, value=value, linked_at=now)
            for kind, value in named
            if value
        ],
        ignore_conflicts=True,
    )


def _is_gone(contact: Contact) -> bool:
    return contact.erased_at is not None or contact.merged_into_id is not None


# ---- Rows ----


def _move(belonging: Belonging, job: Merge, log: MergeLog) -> MergeMove:
    moved = Moved()
    if belonging.merge:
        moved = belonging.merge(job)
    elif not belonging.stays:
        moved = move_all(job, belonging.model, belonging.field)
    return MergeMove(log=log, table=belonging.name, row_ids=moved.row_ids, values=moved.values)


def _move_back(belonging: Belonging, job: Merge, moved: Moved) -> None:
    if belonging.undo:
        belonging.undo(job, moved)
    else:
        move_back(job, moved, belonging.model, belonging.field)


def move_all(job: Merge, model: str, field: str = "contact") -> Moved:
    """Give the survivor all rows of a table that are the merged contact's."""
    table, key, column = _columns(model, field)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {column} = %s WHERE {column} = %s RETURNING {key}",  # noqa: S608
            [job.survivor_id, job.merged_id],
        )
        return Moved(sorted(row_id for (row_id,) in cursor.fetchall()))


def move_back(job: Merge, moved: Moved, model: str, field: str = "contact") -> None:
    """Give those rows back that are still the survivor's."""
    table, key, column = _columns(model, field)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {column} = %s"  # noqa: S608 -- names are ours
            f" WHERE {column} = %s AND {key} = ANY(%s::bigint[])",
            [job.merged_id, job.survivor_id, number_array(moved.row_ids)],
        )


def _columns(model: str, field: str) -> tuple[str, str, str]:
    meta = apps.get_model(model)._meta
    key = meta.pk
    column = meta.get_field(field)
    return meta.db_table, str(key and key.column), str(getattr(column, "column", ""))


# ---- The two themselves ----


def _restore(survivor: Contact, merged: Contact, log: MergeLog, now: datetime) -> None:
    """Give each what it was, but for what has changed since: that stays as it is."""
    was = log.before["survivor"]
    kept = {
        column: was[column] if getattr(survivor, column) == log.after[column] else value
        for column, value in values_of(survivor).items()
    }
    kept["attributes"] = _without(survivor.attributes, was["attributes"], log.after["attributes"])
    back = dict(log.before["merged"])
    for column in NAMES:
        taken = Contact.objects.filter(**{column: back[column]}).exclude(pk=survivor.pk)
        if back[column] and (back[column] == kept[column] or taken.exists()):
            back[column] = None
    Contact.objects.filter(pk=survivor.pk).update(**kept, updated_at=now)
    Contact.objects.filter(pk=merged.pk).update(**back, merged_into=None, updated_at=now)


def _without(now: dict[str, Any], was: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Take out what the merge has brought, as far as nobody has said it again differently."""
    brought = {name for name in after if name not in was and now.get(name) == after[name]}
    return {name: value for name, value in now.items() if name not in brought}


def _names_back(job: Merge, moved: Moved) -> None:
    """All names but those that the survivor goes by since."""
    own = Contact.objects.filter(pk=job.survivor_id).values_list(*NAMES)
    kept = [value for pair in own for value in pair if value]
    rows = Identity.objects.filter(pk__in=moved.row_ids, contact=job.survivor_id)
    rows.exclude(kind__in=["email", "user_id"], value__in=kept).update(contact=job.merged_id)


# ---- Suggestions that were about the merged contact ----


def _move_suggestions(job: Merge) -> Moved:
    """They are about the survivor now; those that say nothing new are settled."""
    moved = Moved()
    rows = MergeSuggestion.objects.filter(status__in=["open", "due"])
    for side, across in (("contact", "other"), ("other", "contact")):
        for row in rows.filter(**{side: job.merged_id}).order_by("pk"):
            if _is_known_pair(job, getattr(row, f"{across}_id")):
                moved.values[str(row.pk)] = row.status
                row.status = MergeSuggestion.Status.ACCEPTED
                row.decided_at, row.decided_by = job.now, "merge"
            else:
                moved.values[str(row.pk)] = side
                setattr(row, side, Contact(pk=job.survivor_id))
            row.save()
    return moved


def _is_known_pair(job: Merge, partner_id: int) -> bool:
    pair = {job.survivor_id, partner_id}
    rows = MergeSuggestion.objects.filter(contact__in=pair, other__in=pair)
    return len(pair) == 1 or rows.filter(status__in=["open", "due"]).exists()


def _move_suggestions_back(job: Merge, moved: Moved) -> None:
    for pk, said in moved.values.items():
        rows = MergeSuggestion.objects.filter(pk=pk)
        if said in ("contact", "other"):
            rows.filter(**{said: job.survivor_id}, status__in=["open", "due"]).update(
                **{said: job.merged_id}
            )
        else:
            rows.filter(decided_at=job.merged_at, decided_by="merge").update(
                status=MergeSuggestion.Status.OPEN, decided_at=None, decided_by=""
            )


def register() -> None:
    register_belonging(
        Belonging("contacts.Identity", 100, label="Names that events use", undo=_names_back)
    )
    register_belonging(Belonging("contacts.Contact", 101, field="merged_into"))
    register_belonging(
        Belonging(
            "contacts.MergeSuggestion", 102, merge=_move_suggestions, undo=_move_suggestions_back
        )
    )
    for model, fields in (
        ("contacts.MergeSuggestion", ("other",)),
        ("contacts.MergeLog", ("survivor", "merged")),
    ):
        for field in fields:
            register_belonging(
                Belonging(model, 103, field=field, stays="History, or moved with the other side.")
            )
