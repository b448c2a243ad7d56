"""Beat, for a broker that may be away."""

import logging
from functools import cached_property
from typing import Any

from celery.beat import ScheduleEntry, SchedulingError
from django_celery_beat.schedulers import DatabaseScheduler
from kombu import Producer

logger = logging.getLogger(__name__)


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # It comes without types.
    """Runs a task itself where the broker does not take it: slower, but nothing waits for Redis.

    What is due is in PostgreSQL, so whoever runs the tick finds it; twice at once is harmless.
    """

    is_alone = False

    @cached_property
    def producer(self) -> Producer:
        """Celery's own first waits until the broker answers, and nothing is due meanwhile."""
        return Producer(self.connection, auto_declare=False)

    def apply_async(
        self,
        entry: ScheduleEntry,
        producer: Producer | None = None,
        advance: bool = True,
        **kwargs: Any,
    ) -> Any:
        entry.options = {**(entry.options or {}), "retry": False}
        try:
            result = super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        except SchedulingError as error:
            self._tell(is_alone=True, reason=str(error.__cause__ or error))
            return self._run_here(entry)
        self._tell(is_alone=False, reason="")
        return result

    def _run_here(self, entry: ScheduleEntry) -> Any:
        task = self.app.tasks[entry.task]
        return task.apply(entry.args, entry.kwargs)

    def _tell(self, *, is_alone: bool, reason: str) -> None:
        if is_alone and not self.is_alone:
            logger.warning("The broker is away, beat does the work: %s", reason)
        if self.is_alone and not is_alone:
            logger.warning("The broker is back.")
        self.is_alone = is_alone
