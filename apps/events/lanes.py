"""The rows that the pipeline can't do without: its lanes, and the source of our own events."""

from typing import Any

from apps.events.messages import SHARDS
from apps.events.models import Shard, Source


def install(**_: Any) -> None:
    """Add what is missing, after the migrations."""
    Shard.objects.bulk_create(
        [Shard(number=number) for number in range(SHARDS)], ignore_conflicts=True
    )
    if not Source.objects.filter(is_internal=True).exists():
        # Its keys are no hashes of anything, so that nobody can hold them.
        Source.objects.create(
            name="Cuepost",
            public_key="internal",
            secret_key_hash="internal",  # noqa: S106 -- see above
            secret_key_hint="none",  # noqa: S106
            is_internal=True,
        )
