"""What machines ask for takes the short way, what people ask for all of it."""

import pytest

from tests.factories.events import SourceFactory

pytestmark = pytest.mark.django_db

POLICY = "Content-Security-Policy"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/track?event=seen&user_id=u1", 200), ("/v1/track", 405), ("/v1/unknown", 404)],
)
def test_machines_get_the_security_headers_that_count_for_them(client, path, status):
    response = client.get(path)

    assert (response.status_code, response["X-Content-Type-Options"]) == (status, "nosniff")
    assert POLICY not in response


def test_the_short_way_reads_and_sets_no_cookie(client):
    client.cookies["sessionid"] = "somebody"
    source = SourceFactory()

    response = client.get(f"/v1/projects/{source.public_key}/settings")

    assert (response.status_code, dict(response.cookies)) == (200, {})
    assert "Cookie" not in response["Vary"]


def test_a_page_has_its_content_policy(client):
    response = client.get("/admin/login/")

    assert POLICY in response
