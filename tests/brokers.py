"""Another broker for a while: Celery keeps its connections, so old ones have to be forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_app


@contextmanager
def use_broker(url: str) -> Iterator[None]:
    before = current_app.conf.broker_url
    _connect_to(url)
    try:
        yield
    finally:
        _connect_to(before)


def _connect_to(url: str) -> None:
    current_app.conf.broker_url = url
    current_app.amqp._producer_pool = None
