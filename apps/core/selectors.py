"""How the product is doing."""

from datetime import datetime

from celery import current_app

from apps.core import registry
from apps.core.registry import Lag

BROKER_TIMEOUT = 2.0


def measure_lags(*, now: datetime) -> dict[str, Lag]:
    """How far each queue that matters is behind, by its name."""
    return {probe.name: probe.measure(now) for probe in registry.probes()}


def ask_broker() -> str:
    """ "ok", or the kind of failure; never raises."""
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_TIMEOUT) as broker:
            broker.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT)
    except Exception as problem:
        return type(problem).__name__
    return "ok"
