"""Where events come from, what became of them, and how tracking is doing."""

from apps.events.admin.log import EventAdmin
from apps.events.admin.plan import EventDefinitionAdmin
from apps.events.admin.rejected import RejectedEventAdmin
from apps.events.admin.sources import SourceAdmin

__all__ = ["EventAdmin", "EventDefinitionAdmin", "RejectedEventAdmin", "SourceAdmin"]
