"""What a turn of the engine takes from the world and does to it, behind one interface.

The engine only decides. Live, its decisions become rows; where they are only collected, the same
engine runs without touching a table.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from apps.messaging import services as messaging
from apps.messaging.services import MessageRequest
from apps.workflows import store
from apps.workflows.models import Enrollment
from apps.workflows.store import LogRow


class Effects(Protocol):
    """The world of one engine."""

    def claim(self, *, now: datetime, limit: int) -> list[Enrollment]:
        """Those who are due, for this turn alone, longest due first."""

    def queue(self, requests: Sequence[MessageRequest], *, now: datetime) -> None:
        """Ask for these mails."""

    def move(self, enrollments: Sequence[Enrollment]) -> None:
        """Keep where those who were claimed are by now."""

    def log(self, rows: Sequence[LogRow], *, now: datetime) -> None:
        """Keep what was decided, in this order."""


class Live:
    """Real people and real mail; each turn inside one transaction."""

    def claim(self, *, now: datetime, limit: int) -> list[Enrollment]:
        return Enrollment.objects.claim_due(now, limit=limit)

    def queue(self, requests: Sequence[MessageRequest], *, now: datetime) -> None:
        messaging.queue_messages(requests=requests, now=now)

    def move(self, enrollments: Sequence[Enrollment]) -> None:
        store.write_moves(enrollments)

    def log(self, rows: Sequence[LogRow], *, now: datetime) -> None:
        store.write_log(rows, now=now)


LIVE = Live()
