"""What a merge of two contacts means for the event log and its pipeline."""

from apps.contacts.registry import (
    Belonging,
    Merge,
    MergeLock,
    register_belonging,
    register_merge_lock,
)
from apps.events.models import Shard


def stop_pipeline(job: Merge) -> None:
    """Wait for the batches under way; the next ones wait for the merge, and find the survivor."""
    list(Shard.objects.select_for_update().order_by("number"))


def register() -> None:
    register_merge_lock(MergeLock("events", 10, stop_pipeline))
    register_belonging(Belonging("events.Event", 40, label="Events"))
