"""The tick: one whole turn of the product, stage by stage."""

from datetime import datetime

from apps.core import registry


def tick(*, now: datetime) -> dict[str, int]:
    """Do everything that is due at `now`, in floor order; answer how much each stage did."""
    return {stage.name: stage.run(now) for stage in registry.stages()}
