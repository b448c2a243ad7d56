"""Five thousand calls made up from the schema, good and bad: no server error, nothing stuck."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from schemathesis.checks import content_type_conformance, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance

from apps.core import services as core
from apps.events.models import InboxEvent
from config.wsgi import application
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

CASES = 5000
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
OPERATIONS = [
    ("POST", "/v1/track"), ("POST", "/v1/identify"), ("POST", "/v1/page"), ("POST", "/v1/screen"),
    ("POST", "/v1/group"), ("POST", "/v1/alias"), ("POST", "/v1/batch"), ("GET", "/track"),
    ("GET", "/v1/projects/{key}/settings"),
]  # fmt: skip
SHARE = -(-CASES // len(OPERATIONS))


@pytest.fixture
def schema(settings: Any) -> Iterator[Any]:
    """As Django's own test client does it: a request leaves the test's connection open."""
    settings.ALLOWED_HOSTS = ["localhost"]
    moments = (request_started, request_finished)
    for moment in moments:
        moment.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/schema/", application)
    for moment in moments:
        moment.connect(close_old_connections)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_call_makes_a_server_error(schema, method, path):
    source = SourceFactory()
    operation = schema[path][method]
    # Most of the time goes into making a body up, so each is sent with either key.
    keys = [source.public_key, source.secret_key] if method == "POST" else [source.public_key]
    calls = st.one_of(operation.as_strategy(mode) for mode in GenerationMode)
    answers: Counter[int] = Counter()

    @limits(
        max_examples=-(-SHARE // len(keys)),
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=calls)
    def call(case: Any) -> None:
        for key in keys:
            if method == "POST":
                case.query = {**(case.query or {}), "writeKey": key}
            response = case.call()
            answers[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

    call()
    core.tick_until_quiet(clock=lambda: NOON, seconds=30)

    assert sum(answers.values()) >= SHARE
    assert answers.keys() <= {200, 400, 401, 404, 405, 406, 415}
    assert answers[200] > 0 or "{key}" in path
    assert not InboxEvent.objects.exists()
