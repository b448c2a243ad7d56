"""What the tracking API tells about itself."""

import pytest
import yaml

from apps.events.api import KINDS


def test_the_schema_names_every_call(client):
    answer = client.get("/api/schema/")

    schema = yaml.safe_load(answer.content)
    calls = {path.removeprefix("/v1/") for path in schema["paths"]}
    assert answer.status_code == 200
    assert set(KINDS.values()) <= calls
    assert schema["components"]["schemas"]["Track"]["required"] == ["event"]


def test_the_schema_is_valid():
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.validation import validate_schema

    validate_schema(SchemaGenerator().get_schema(request=None, public=True))


@pytest.mark.parametrize("query", ["", "?script="])
def test_the_docs_load_nothing_from_elsewhere(client, query):
    answer = client.get(f"/api/docs/{query}")

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "https://" not in page
    assert "cdn" not in page
    assert "script-src 'self'" in answer["Content-Security-Policy"].split("; ")


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_nothing_can_be_posted_to_the_schema(client, path):
    assert client.post(path).status_code == 405
