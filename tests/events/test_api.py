"""The tracking API as clients see it."""

import base64
import gzip
import json
import zlib
from typing import Any

import pytest
from django.test import Client

from apps.core.pseudonyms import hide_browser
from apps.events import services
from apps.events.models import InboxEvent, RejectedEvent
from tests.factories.events import SourceFactory

pytestmark = pytest.mark.django_db

TRACK = {"event": "Cart Viewed", "anonymousId": "a1", "messageId": "m1"}


@pytest.fixture
def source():
    return SourceFactory()


def post(client: Client, path: str, body: Any, key: str = "", **headers: str):
    if key:
        token = base64.b64encode(f"{key}:".encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data, content_type="application/json", headers=headers)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/track", TRACK, "track"),
        ("/v1/t", TRACK, "track"),
        ("/v1/track/", TRACK, "track"),
        ("/v1/identify", {"userId": "u1", "traits": {"email": "ada@example.com"}}, "identify"),
        ("/v1/i", {"userId": 7}, "identify"),
        ("/v1/page", {"anonymousId": "a1", "name": "Home"}, "page"),
        ("/v1/p", {"anonymousId": "a1"}, "page"),
        ("/v1/screen", {"anonymousId": "a1"}, "screen"),
        ("/v1/s", {"anonymousId": "a1"}, "screen"),
        ("/v1/group", {"userId": "u1", "groupId": "g1"}, "group"),
        ("/v1/g", {"userId": "u1", "groupId": "g1"}, "group"),
        ("/v1/alias", {"userId": "u1", "previousId": "a1"}, "alias"),
        ("/v1/a", {"userId": "u1", "previousId": "a1"}, "alias"),
    ],
)
def test_each_path_stores_its_kind_of_event(client, source, path, body, kind):
    response = post(client, path, body, source.public_key)

    assert (response.status_code, response.json()) == (200, {"success": True})
    assert [row.payload["type"] for row in InboxEvent.objects.all()] == [kind]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import"])
def test_batch_fills_in_what_holds_for_all_of_its_events(client, source, path):
    body = {
        "sentAt": "2026-03-02T12:00:00Z",
        "context": {"locale": "en", "app": "shop"},
        "batch": [
            {"type": "track", **TRACK, "context": {"locale": "de"}},
            {"type": "page", "userId": "u1", "messageId": "m2", "sentAt": "2026-03-02T11:00:00Z"},
        ],
    }

    response = post(client, path, body, source.secret_key)

    assert response.json() == {"success": True}
    rows = InboxEvent.objects.order_by("id")
    assert [(row.message_id, row.person_keys, row.is_secret) for row in rows] == [
        ("m1", [f"a:{hide_browser('a1')}"], True),
        ("m2", ["u:u1"], True),
    ]
    assert [(row.payload["sentAt"], row.payload["context"]) for row in rows] == [
        ("2026-03-02T12:00:00Z", {"locale": "de", "app": "shop"}),
        ("2026-03-02T11:00:00Z", {"locale": "en", "app": "shop"}),
    ]


def test_batch_keeps_a_bad_event_aside_and_stores_the_others(client, source):
    body = (
        b'{"batch": ['
        b'{"type": "track", "event": "A", "userId": "u1", "messageId": "good"},'
        b'{"type": "track", "event": "A", "userId": "u1", "properties": {"n": 1e999}},'
        b'{"type": "track", "event": "A", "userId": "u1", "messageId": "nul",'
        b' "properties": {"n": "\\u0000"}},'
        b'{"type": "track", "event": "A", "userId": "\\ud800"},'
        b'7, null, "x", [],'
        b'{"type": "nonsense", "userId": "u1"},'
        b'{"type": "track", "userId": "u1"},'
        b'{"type": "track", "event": "A", "userId": "null", "anonymousId": null},'
        b'{"type": "track", "event": "A", "userId": {"a": 1}},'
        b'{"type": "track", "event": "A", "userId": true},'
        b'{"type": "track", "event": "A", "userId": "u1", "properties": []},'
        b'{"type": "track", "event": "A", "userId": "' + b"u" * 201 + b'"},'
        b'{"type": "track", "event": "A", "userId": "u1", "messageId": "' + b"m" * 101 + b'"},'
        b'{"type": "track", "event": "' + b"n" * 201 + b'", "userId": "u1"},'
        b'{"type": "track", "event": "A", "userId": "u1", "properties": {"x": "'
        + b"x"
        * 33000
        + b'"}},'
        b'{"type": "track", "event": "A", "userId": "u1", "properties": {"x": '
        + b"[" * 60
        + b"]" * 60
        + b"}}"
        b"]}"
    )

    response = post(client, "/v1/batch", body, source.secret_key)

    reasons = [
        "unreadable", "null_character", "unreadable", "not_an_object", "not_an_object",
        "not_an_object", "not_an_object", "unknown_type", "no_event_name", "no_identifier",
        "wrong_type", "wrong_type", "wrong_type", "id_too_long", "id_too_long", "name_too_long",
        "too_large", "too_deep",
    ]  # fmt: skip
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "rejected": [{"index": n, "reason": reason} for n, reason in enumerate(reasons, start=1)],
    }
    assert list(InboxEvent.objects.values_list("message_id", flat=True)) == ["good"]
    assert list(RejectedEvent.objects.order_by("id").values_list("reason", flat=True)) == reasons


@pytest.mark.parametrize(("start", "end"), [('{"a":', "}"), ("[", "]")])
def test_however_deep_an_event_nests_the_others_are_stored(client, source, start, end):
    good = {"type": "track", **TRACK}
    told = []

    for depth in [60, 600, *range(800, 1100, 20)]:
        deep = f'{{"type": "track", "userId": "u1", "x": {start * depth}1{end * depth}}}'
        body = f'{{"batch": [{deep}, {json.dumps({**good, "messageId": depth})}]}}'.encode()
        told.append(post(client, "/v1/batch", body, source.public_key).status_code)

    # What nests so deep that the batch itself can't be read is refused as a whole.
    stored = told.count(200)
    assert told == [200] * stored + [400] * (len(told) - stored)
    assert stored > 4
    assert InboxEvent.objects.count() == stored
    kept = RejectedEvent.objects.values_list("reason", "payload")
    assert [(reason, list(payload)) for reason, payload in kept] == [
        ("too_deep", ["unreadable"])
    ] * stored


def test_a_write_key_inside_a_batch_is_used_and_not_kept(client, source):
    key = source.secret_key
    good = {"type": "track", **TRACK, "writeKey": key}
    bad = {"type": "track", "writeKey": key}
    broken = f'{{"type": "track", "writeKey": "{key}", "userId": "\\ud800"}}'
    items = ",".join([json.dumps(good), json.dumps(bad), broken])

    response = post(client, "/v1/batch", f'{{"batch": [{items}]}}'.encode())

    assert (response.status_code, InboxEvent.objects.get().is_secret) == (200, True)
    kept = [
        InboxEvent.objects.get().payload,
        *RejectedEvent.objects.values_list("payload", flat=True),
    ]
    assert len(kept) == 3
    assert not [payload for payload in kept if key in json.dumps(payload)]


@pytest.mark.parametrize("message_id", ["undefined", "null", " None ", "", None, 0])
def test_what_only_looks_like_a_message_id_is_none(client, source, message_id):
    for _ in range(2):
        post(client, "/v1/track", {**TRACK, "messageId": message_id}, source.public_key)

    ids = set(InboxEvent.objects.values_list("message_id", flat=True))
    assert len(ids) == 2
    assert all(one.startswith("cuepost-") for one in ids)


def test_single_bad_event_is_told_and_kept(client, source):
    response = post(client, "/v1/track", {"userId": "u1"}, source.secret_key)

    assert response.status_code == 400
    assert response.json() == {"success": False, "error": "no_event_name"}
    assert RejectedEvent.objects.get().reason == "no_event_name"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"7", b"[]", b'"x"', b"\xff\xfe", b'{"event": "\xff"}', b"[" * 100_000,
        b'{"a":' * 100_000, b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1e999}',
        b'{"a": ' + b"1" * 5000 + b"}", b'{"batch": 7}', b'{"batch": {}}', b"PK\x03\x04",
        b"\x1f\x8bnot gzip", b" " * (500 * 1024 + 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
def test_body_that_is_no_message_is_refused_with_a_reason(client, source, path, body):
    response = post(client, path, body, source.secret_key)

    assert response.status_code == 400
    assert response.json()["success"] is False
    assert response.json()["error"]
    assert not InboxEvent.objects.exists()


def test_batch_of_too_many_events_is_refused(client, source):
    body = {"batch": [{"type": "page", "anonymousId": "a"}] * 2501}

    response = post(client, "/v1/batch", body, source.secret_key)

    assert response.status_code == 400
    assert response.json()["error"] == "A batch may have 2500 events."


def test_batch_of_2500_events_is_taken(client, source):
    body = {"batch": [{"type": "page", "anonymousId": "a"}] * 2500}

    response = post(client, "/v1/batch", body, source.secret_key)

    assert response.json() == {"success": True}
    assert InboxEvent.objects.count() == 2500


def test_gzip_is_unpacked(client, source):
    body = gzip.compress(json.dumps(TRACK).encode())

    response = post(client, "/v1/track", body, source.public_key, **{"Content-Encoding": "gzip"})

    assert response.json() == {"success": True}
    assert InboxEvent.objects.get().message_id == "m1"


def test_gzip_bomb_is_refused(client, source):
    bomb = zlib.compressobj(wbits=31)
    body = bomb.compress(b" " * 50_000_000) + bomb.flush()

    response = post(client, "/v1/track", body, source.public_key, **{"Content-Encoding": "gzip"})

    assert response.json() == {"success": False, "error": "A request may have 512000 bytes."}


@pytest.mark.parametrize("encoding", ["br", "deflate", "nonsense", "gzip, gzip"])
def test_other_encodings_are_refused(client, source, encoding):
    response = post(client, "/v1/t", TRACK, source.public_key, **{"Content-Encoding": encoding})

    assert response.status_code == 400


def test_incomplete_gzip_is_refused(client, source):
    body = gzip.compress(json.dumps(TRACK).encode())[:-9]

    response = post(client, "/v1/track", body, source.public_key, **{"Content-Encoding": "gzip"})

    assert response.json() == {"success": False, "error": "The body is not complete gzip."}


def test_bad_content_length_is_refused(client, source):
    response = client.generic(
        "POST", f"/v1/t?writeKey={source.public_key}", b"{}", CONTENT_LENGTH="abc"
    )

    assert response.status_code == 400


def test_byte_order_mark_is_ignored(client, source):
    body = b"\xef\xbb\xbf" + json.dumps(TRACK).encode()

    assert post(client, "/v1/track", body, source.public_key).json() == {"success": True}


def test_key_may_stand_in_the_body_or_the_address(client, source):
    key = source.public_key
    text = {"content_type": "text/plain"}
    answers = [
        client.post("/v1/t", json.dumps({**TRACK, "writeKey": key}), **text),
        client.post(
            "/v1/b", json.dumps({"batch": [{**TRACK, "type": "track"}], "writeKey": key}), **text
        ),
        client.post(
            "/v1/b", json.dumps({"batch": [{**TRACK, "type": "track", "writeKey": key}]}), **text
        ),
        client.post(f"/v1/t?writeKey={key}", json.dumps(TRACK), **text),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200]
    assert "writeKey" not in InboxEvent.objects.order_by("id").first().payload


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !!!", "Basic Og==", "Basic /w==", "Basic cGtfdW5rbm93bjo=", "Bearer pk",
     "Basic " + base64.b64encode(b"sk_unknown:").decode(), "Basic AAA6", "Basic \xe9", "\xe9 \xe9"],
)  # fmt: skip
def test_missing_or_unknown_key_is_told(client, source, authorization):
    headers = {"Authorization": authorization} if authorization else {}
    response = client.post("/v1/t", json.dumps(TRACK), content_type="text/plain", headers=headers)

    assert response.status_code == 401
    assert response.json()["success"] is False
    assert not InboxEvent.objects.exists()


def test_keys_of_inactive_and_internal_sources_are_refused(client):
    resting = SourceFactory(is_active=False)

    answers = [post(client, "/v1/t", TRACK, key) for key in (resting.public_key, "internal")]

    assert [answer.status_code for answer in answers] == [401, 401]


def test_rotated_secret_key_stops_the_old_one(client, source):
    assert post(client, "/v1/t", TRACK, source.secret_key).status_code == 200

    fresh = services.rotate_secret_key(source=source)

    assert post(client, "/v1/t", TRACK, source.secret_key).status_code == 401
    assert post(client, "/v1/t", TRACK, fresh).status_code == 200


def test_preflight_lets_any_origin_in_without_cookies(client):
    response = client.options(
        "/v1/t",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Headers": "content-type",
        },
    )

    assert response.status_code == 204
    assert response["Access-Control-Allow-Origin"] == "https://shop.example"
    assert response["Access-Control-Allow-Headers"] == "content-type"
    assert response["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in response


def test_errors_can_be_read_by_other_origins(client):
    response = client.post(
        "/v1/t", b"{", content_type="text/plain", headers={"Origin": "https://x.y"}
    )

    assert response["Access-Control-Allow-Origin"] == "https://x.y"


def test_get_is_told_to_post(client):
    assert client.get("/v1/track").status_code == 405


def test_settings_are_what_the_browser_client_needs(client, source):
    response = client.get(f"/v1/projects/{source.public_key}/settings")

    assert response.json()["integrations"]["Segment.io"] == {
        "apiKey": source.public_key,
        "apiHost": "testserver/v1",
        "protocol": "http",
        "unbundledIntegrations": [],
        "addBundledMetadata": True,
        "maybeBundledConfigIds": {},
        "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
    }


@pytest.mark.parametrize("key", ["pk_unknown", "%00", "a%00b", "%ff%fe", "%ED%A0%80", "x" * 3000])
def test_settings_know_no_nonsense(client, key):
    assert client.get(f"/v1/projects/{key}/settings").status_code == 404


def test_settings_never_take_a_secret_key(client, source):
    assert client.get(f"/v1/projects/{source.secret_key}/settings").status_code == 404


def test_contact_cannot_be_named_from_outside(client, source):
    post(client, "/v1/t", {**TRACK, "contactId": 1}, source.secret_key)

    row = InboxEvent.objects.get()
    assert row.person_keys == [f"a:{hide_browser('a1')}"]
    assert "contactId" not in row.payload


def test_accepting_takes_one_statement(client, source, django_assert_num_queries):
    post(client, "/v1/t", TRACK, source.public_key)

    with django_assert_num_queries(1):
        post(client, "/v1/t", TRACK, source.public_key)
    with django_assert_num_queries(1):
        post(client, "/v1/b", {"batch": [{**TRACK, "type": "track"}] * 3}, source.public_key)
