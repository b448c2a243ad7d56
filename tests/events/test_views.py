"""The pixel and the script, as pages load them."""

import gzip
import hashlib

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.contacts.models import Contact
from apps.core.pseudonyms import hide_browser
from apps.events import pipeline, services, views
from apps.events.models import Event, InboxEvent
from tests.factories.contacts import ContactFactory
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
     "event=" + "x" * 3000 + "&user_id=1", "&&&===%%%",
     "event=x&user_id=1&" + "&".join(f"p{n}=1" for n in range(1100))],
)  # fmt: skip
def test_pixel_answers_a_gif_to_nonsense(client, query):
    response = client.get(f"/track?{query}")

    assert (response.status_code, response.content) == (200, views.GIF)


def test_pixel_never_takes_a_secret_key(client):
    source = SourceFactory()

    client.get(f"/track?event=x&user_id=1&key={source.secret_key}")

    assert not InboxEvent.objects.exists()


@pytest.mark.parametrize("method", ["head", "post", "put", "delete", "options"])
def test_pixel_answers_a_gif_to_any_method_and_stores_only_what_is_got(client, method):
    SourceFactory()

    response = getattr(client, method)("/track?event=x&user_id=1")

    assert (response.status_code, response["Content-Type"]) == (200, "image/gif")
    assert response.content == (b"" if method == "head" else views.GIF)
    assert not InboxEvent.objects.exists()


BROWSER = "6f1b2c3d-0000-4000-8000-0123456789ab"
CONSENT = "email_marketing:0.tracking:1"
ON_PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "image"}


@pytest.mark.parametrize(
    ("consent", "browser", "headers", "is_read"),
    [
        (CONSENT, BROWSER, ON_PAGE, True),
        (CONSENT, BROWSER, {**ON_PAGE, "Sec-Fetch-Site": "same-site"}, True),
        ("", BROWSER, ON_PAGE, False),
        ("tracking:0", BROWSER, ON_PAGE, False),
        ("no_tracking:1", BROWSER, ON_PAGE, False),
        (CONSENT, BROWSER + "0", ON_PAGE, False),
        (CONSENT, "a1", ON_PAGE, False),
        # Somebody followed a link, or the pixel is on another site.
        (CONSENT, BROWSER, {**ON_PAGE, "Sec-Fetch-Dest": "document"}, False),
        (CONSENT, BROWSER, {**ON_PAGE, "Sec-Fetch-Site": "cross-site"}, False),
        (CONSENT, BROWSER, {}, False),
    ],
)
def test_pixel_knows_a_browser_of_the_site_that_agreed(client, consent, browser, headers, is_read):
    SourceFactory()
    client.cookies.load({"cuepost_consent": consent, "cuepost_anonymous_id": browser})

    client.get("/track?event=cart_abandonment&user_id=XYZ", headers=headers)

    keys = ["u:XYZ", f"a:{hide_browser(BROWSER)}"] if is_read else ["u:XYZ"]
    assert InboxEvent.objects.get().person_keys == keys


def test_pixel_of_the_site_leads_to_who_identifies_in_the_browser(client):
    source = SourceFactory()
    client.cookies.load({"cuepost_consent": CONSENT, "cuepost_anonymous_id": BROWSER})
    client.get("/track?event=cart_abandonment&user_id=XYZ", headers=ON_PAGE)
    pipeline.drain(now=timezone.now())

    known = {"type": "identify", "userId": "XYZ", "anonymousId": BROWSER}
    now = timezone.now()
    services.accept(source=source, is_secret=True, messages=[known], received_at=now)
    pipeline.drain(now=now)

    assert Event.objects.get(type="track").contact == Contact.objects.get(external_id="XYZ")


def test_pixel_never_attaches_to_a_known_contact_by_its_address(client):
    ContactFactory(external_id="XYZ")
    SourceFactory()

    client.get("/track?event=cart_abandonment&user_id=XYZ")
    pipeline.drain(now=timezone.now())

    event = Event.objects.get()
    assert (event.contact, event.context["cuepost"]["user_id"]) == (None, "XYZ")


def test_pixel_answers_a_gif_while_the_database_fails(client):
    SourceFactory()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_inboxevent RENAME TO elsewhere")

    response = client.get("/track?event=x&user_id=1")

    assert (response.status_code, response.content) == (200, views.GIF)


def test_script_is_served_to_any_site_and_cached(client):
    response = client.get("/js/cuepost.js")

    assert response.content == (settings.BASE_DIR / "static/public/cuepost.min.js").read_bytes()
    assert response["Content-Type"] == "text/javascript; charset=utf-8"
    assert response["Cache-Control"] == "public, max-age=3600"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert "Content-Encoding" not in response
    again = client.get("/js/cuepost.js", headers={"If-Modified-Since": response["Last-Modified"]})
    assert again.status_code == 304


def test_script_is_packed_for_browsers_that_take_it(client):
    plain = client.get("/js/cuepost.js")
    packed = client.get("/js/cuepost.js", headers={"Accept-Encoding": "br, gzip"})

    assert (packed["Content-Encoding"], packed["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < 6 * 1024


def test_script_belongs_to_its_source():
    """After a change to cuepost.js, `make snippet` packs it anew."""
    folder = settings.BASE_DIR / "static/public"
    digest = hashlib.sha256((folder / "cuepost.js").read_bytes()).hexdigest()

    packed = (folder / "cuepost.min.js").read_text()
    assert packed.startswith(f"/* From cuepost.js, sha256 {digest} */")
