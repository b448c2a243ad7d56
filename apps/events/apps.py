from datetime import datetime, timedelta

from django.apps import AppConfig

from apps.core.registry import (
    Lag,
    PeriodicTask,
    Probe,
    Stage,
    register_periodic_task,
    register_probe,
    register_stage,
)


class EventsConfig(AppConfig):
    name = "apps.events"

    def ready(self) -> None:
        from apps.events import pipeline, selectors  # noqa: PLC0415 -- models are ready only now

        def drain(now: datetime) -> int:
            return pipeline.drain(now=now)

        def measure(now: datetime) -> Lag:
            return selectors.inbox_lag(now)

        register_stage(Stage("events", 30, drain))
        register_probe(Probe("inbox", "Events waiting", measure))
        register_periodic_task(
            PeriodicTask("Make event partitions", "events.make_partitions", timedelta(days=1))
        )
