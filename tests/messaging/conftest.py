"""A fresh transport for each test, as each worker starts with."""

from collections.abc import Iterator

import pytest

from apps.messaging.transport import transport


@pytest.fixture(autouse=True)
def _fresh_transport() -> Iterator[None]:
    transport.reset()
    yield
    transport.reset()
