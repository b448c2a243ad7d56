"""What a merge of two contacts means for the workflows that they are in."""

from datetime import datetime
from typing import Any

from apps.contacts import merging
from apps.contacts.registry import (
    Belonging,
    Merge,
    MergeLock,
    Moved,
    register_belonging,
    register_merge_lock,
)
from apps.workflows import store
from apps.workflows.models import Enrollment
from apps.workflows.store import LogRow

MERGED = "merged"
# What a merge itself ends: a passage that the other is in too, or all, where the other said no.
_BY_MERGE = (MERGED, "consent_withdrawn")
_PLACE = ("pc", "wake_at", "deadline_at", "waiting_for", "entry_key")


def hold(job: Merge) -> None:
    """Let neither move on meanwhile."""
    _lock_live([job.survivor_id, job.merged_id])


def merge(job: Merge) -> Moved:
    """Everything becomes the survivor's; what both are in goes on once."""
    rows = _lock_live([job.survivor_id, job.merged_id])
    places = {str(row.pk): _place(row) for row in rows}
    inside = {
        (row.workflow_id, row.entry_key): row.pk
        for row in rows
        if row.contact_id == job.survivor_id
    }
    doubles: dict[int, dict[str, Any]] = {}
    for row in rows:
        if row.contact_id != job.merged_id:
            continue
        key = (row.workflow_id, job.renamed.get(row.entry_key, row.entry_key))
        if key in inside:
            doubles[row.pk] = {"goes_on_in": inside[key]}
        elif row.entry_key in job.renamed:
            _rename(row, job.renamed[row.entry_key])
    store.leave(doubles, reason=MERGED, now=job.now)
    moved = merging.move_all(job, "workflows.Enrollment")
    moved.values = {"places": places} if places else {}
    return moved


def undo(job: Merge, moved: Moved) -> None:
    """Give back what was theirs, and take up again what the merge itself has ended."""
    merging.move_back(job, moved, "workflows.Enrollment")
    places: dict[str, dict[str, Any]] = moved.values.get("places", {})
    rows = Enrollment.objects.filter(pk__in=places).order_by("id").select_for_update()
    for row in rows:
        place = places[str(row.pk)]
        if row.status == Enrollment.Status.LIVE:
            if row.entry_key != place["entry_key"] and row.contact_id == job.merged_id:
                _rename(row, place["entry_key"])
        elif row.exit_reason in _BY_MERGE and row.finished_at == job.merged_at:
            _take_up(row, place, job.now)


def _lock_live(contact_ids: list[int]) -> list[Enrollment]:
    rows = Enrollment.objects.live().filter(contact__in=contact_ids)
    return list(rows.order_by("id").select_for_update(of=("self",)))


def _place(row: Enrollment) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value := getattr(row, name), datetime) else value
        for name in _PLACE
    }


def _rename(row: Enrollment, entry_key: str) -> None:
    """The cart that it is about goes by another key now, for its mails too."""
    if row.context.get("cart_key") == row.entry_key:
        row.context["cart_key"] = entry_key
    row.entry_key = entry_key
    row.save(update_fields=["entry_key", "context"])


def _take_up(row: Enrollment, place: dict[str, Any], now: datetime) -> None:
    twins = Enrollment.objects.live().filter(workflow=row.workflow_id, contact=row.contact_id)
    if twins.filter(entry_key=place["entry_key"]).exists():
        return
    back = {**place, "status": Enrollment.Status.LIVE, "finished_at": None}
    back |= {"exit_reason": "", "exit_values": {}}
    Enrollment.objects.filter(pk=row.pk).update(**back)
    store.write_log([LogRow(row.pk, "wake", outcome="parted")], now=now)


def register() -> None:
    register_merge_lock(MergeLock("workflows", 30, hold))
    register_belonging(
        Belonging(
            "workflows.Enrollment", 20, label="Ways through workflows", merge=merge, undo=undo
        )
    )
    register_belonging(Belonging("workflows.EntryRefusal", 21))
