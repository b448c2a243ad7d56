from datetime import datetime

from django.apps import AppConfig

from apps.core.registry import Lag, Probe, Stage, register_probe, register_stage
from apps.events.registry import Projection, register_projection


class MessagingConfig(AppConfig):
    name = "apps.messaging"

    def ready(self) -> None:
        from apps.messaging import (  # noqa: PLC0415 -- models are ready only now
            delivery,
            projection,
            receivers,
            selectors,
        )

        def send(now: datetime) -> int:
            return delivery.reap(now=now) + delivery.deliver(now=now)

        def measure(now: datetime) -> Lag:
            return selectors.measure_outbox(now)

        assert receivers  # noqa: S101 -- importing it connects them
        register_projection(Projection("messaging", 80, projection.apply))
        register_stage(Stage("messaging", 80, send))
        register_probe(Probe("outbox", "Mails waiting", measure))
