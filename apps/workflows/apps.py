from datetime import datetime

from django.apps import AppConfig

from apps.core.registry import Lag, Probe, Stage, register_probe, register_stage
from apps.events.registry import Projection, register_projection
from apps.messaging.registry import GateCheck, register_check


class WorkflowsConfig(AppConfig):
    name = "apps.workflows"

    def ready(self) -> None:
        from apps.workflows import (  # noqa: PLC0415 -- models are ready only now
            engine,
            gate,
            projection,
            receivers,
            selectors,
        )

        def advance(now: datetime) -> int:
            return engine.advance(now=now)

        def measure(now: datetime) -> Lag:
            return selectors.get_lag(now)

        assert receivers  # noqa: S101 -- importing it connects them
        register_projection(Projection("workflows", 90, projection.apply))
        # Between the events and the outbox: what a workflow asks for leaves in the same turn.
        register_stage(Stage("workflows", 60, advance))
        register_check(GateCheck("workflow", 90, gate.ask))
        register_probe(Probe("engine", "Steps waiting", measure))
