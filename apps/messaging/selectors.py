"""Reads of the ledger for the health page."""

from datetime import datetime, timedelta

from django.db.models import Count, Min

from apps.core.registry import Lag
from apps.messaging.models import Message


def measure_outbox(now: datetime) -> Lag:
    """Messages that are due and not taken up, and how long the oldest of them waits."""
    due = Message.objects.due(now).aggregate(count=Count("pk"), oldest=Min("due_at"))
    oldest = due["oldest"]
    return Lag(due_count=due["count"], oldest_age=now - oldest if oldest else timedelta(0))
