"""The pixel and the script, as pages load them."""

import pytest
from django.conf import settings
from django.db import connection

from apps.events import views
from apps.events.models import InboxEvent
from tests.factories.events import SourceFactory

pytestmark = pytest.mark.django_db


def test_pixel_stores_a_public_event_of_the_oldest_source(client):
    first = SourceFactory()
    SourceFactory()

    response = client.get("/track?event=cart_abandonment&user_id=XYZ&cart=7")

    assert (response.status_code, response["Content-Type"]) == (200, "image/gif")
    assert response["Cache-Control"] == "no-store, private"
    assert response.content == views.GIF
    row = InboxEvent.objects.get()
    assert (row.source, row.is_secret, row.person_keys) == (first, False, ["u:XYZ"])
    assert (row.payload["event"], row.payload["properties"]) == ("cart_abandonment", {"cart": "7"})


def test_pixel_counts_for_the_source_of_its_public_key(client):
    SourceFactory()
    second = SourceFactory()

    client.get(f"/track?event=x&anonymous_id=a1&key={second.public_key}")

    assert InboxEvent.objects.get().source == second


@pytest.mark.parametrize(
    "query",
    ["", "event=", "user_id=1", "event=x", "event=%00&user_id=%00", "event=%ff&user_id=%ff&%ff=%ff",
     "event=x&user_id=1&key=sk_secret", "event=x&user_id=1&key=pk_unknown",
     "event=" + "x" * 3000 + "&user_id=1", "&&&===%%%"],
)  # fmt: skip
def test_pixel_answers_a_gif_to_nonsense(client, query):
    response = client.get(f"/track?{query}")

    assert (response.status_code, response.content) == (200, views.GIF)


def test_pixel_never_takes_a_secret_key(client):
    source = SourceFactory()

    client.get(f"/track?event=x&user_id=1&key={source.secret_key}")

    assert not InboxEvent.objects.exists()


def test_pixel_answers_a_gif_while_the_database_fails(client):
    SourceFactory()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_inboxevent RENAME TO elsewhere")

    response = client.get("/track?event=x&user_id=1")

    assert (response.status_code, response.content) == (200, views.GIF)


def test_script_is_served_to_any_site_and_cached(client):
    response = client.get("/js/cuepost.js")

    body = b"".join(response.streaming_content)
    assert body == (settings.BASE_DIR / "static/public/cuepost.js").read_bytes()
    assert response["Content-Type"] == "text/javascript; charset=utf-8"
    assert response["Cache-Control"] == "public, max-age=3600"
    assert response["Access-Control-Allow-Origin"] == "*"
    again = client.get("/js/cuepost.js", headers={"If-Modified-Since": response["Last-Modified"]})
    assert again.status_code == 304
