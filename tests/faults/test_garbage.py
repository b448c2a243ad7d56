"""Ten thousand random payloads: each is stored or refused with a reason, and nothing gets stuck."""

import gzip
import json
import random
from collections import Counter
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client

from apps.core import services as core
from apps.events import views
from apps.events.models import Event, InboxEvent, RejectedEvent
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

REQUESTS, BATCHES, PER_BATCH = 3600, 60, 100
ODD_REQUESTS = 400
FIELDS = [
    "type", "event", "name", "userId", "anonymousId", "previousId", "messageId", "contactId",
    "properties", "traits", "context", "timestamp", "originalTimestamp", "sentAt", "writeKey",
]  # fmt: skip
EVENTS = [
    "Product Viewed", "Product Added", "Product Removed", "Cart Viewed", "Checkout Started",
    "Order Completed", "Order Refunded", "Email Opened", "x" * 300, "",
]  # fmt: skip
KEYS = [
    "product_id", "products", "quantity", "price", "currency", "cart_id", "order_id", "total",
    "url", "email", "consent", "categoryPreferences", "traits", "email_marketing", "$%&", "",
]  # fmt: skip
TEXTS = [
    "", "null", "0", "ada", "ada@example.com", "\x00", "\ud800", "ü" * 50, "<script>",
    "' OR 1=1 --", "9" * 400, "2026-03-02T12:00:00Z", "2016-03-02T12:00:00Z",
    "2099-01-01", "0001-01-01",
    "9999-12-31T23:59:59-14:00", "{{ 7 | times: 7 }}", "a" * 40_000, "NaN", "%s%n", "\u202e",
]  # fmt: skip
NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**70), 10**400, 1e308, -0.0, 1.5, float("nan"), float("inf")]
PATHS = ["track", "identify", "page", "screen", "group", "alias", "t", "i", "p", "s", "g", "a"]


class Monkey:
    """Types whatever comes to its mind; the same mind each time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 -- not for secrets

    def value(self, depth: int = 0) -> Any:
        choice = self.random.random()
        is_wild = self.random.random() < 0.15
        if choice < 0.35:
            return self.random.choice(TEXTS if is_wild else EVENTS)
        if choice < 0.55:
            return self.random.choice(NUMBERS if is_wild else NUMBERS[:3])
        if choice < 0.65:
            return self.random.choice([None, True, False])
        if depth > 3:
            return self.random.choice([[], {}])
        count = self.random.randint(0, 4)
        if choice < 0.8:
            return [self.value(depth + 1) for _ in range(count)]
        return {self.random.choice(KEYS): self.value(depth + 1) for _ in range(count)}

    def message(self) -> dict[str, Any]:
        """Mostly a good message with something wrong in it; sometimes nothing but noise."""
        message = {
            "type": self.random.choice(["track", "track", "track", "identify", "alias", "page"]),
            "event": self.random.choice(EVENTS),
            "userId": f"user-{self.random.randint(0, 30)}",
            "messageId": f"monkey-{self.random.getrandbits(64)}",
            "properties": {key: self.value(1) for key in self.random.sample(KEYS, 5)},
        }
        for name in self.random.sample(FIELDS, self.random.randint(0, 3)):
            message[name] = self.value()
        return message

    def body(self) -> bytes:
        text = json.dumps(self.message(), ensure_ascii=self.random.random() < 0.7)
        body = text.encode(errors="surrogatepass")
        choice = self.random.random()
        if choice < 0.1:
            at = self.random.randint(0, len(body))
            return body[:at]
        if choice < 0.2:
            at = self.random.randint(0, len(body))
            return body[:at] + self.random.randbytes(3) + body[at:]
        if choice < 0.23:
            return self.random.randbytes(self.random.randint(0, 200))
        return body

    def deep_batch(self) -> bytes:
        """A good event beside one that nests deeper than we keep, and perhaps than we can read."""
        depth = self.random.randint(50, 1000)
        start, end = self.random.choice([('{"a":', "}"), ("[", "]")])
        field = self.random.choice(["properties", "context", "userId", "x"])
        value = start * depth + "1" + end * depth
        deep = f'{{"type":"track","event":"Deep","userId":"u","{field}":{value}}}'
        return f'{{"batch":[{deep},{json.dumps(self.message())}]}}'.encode()

    def packed(self) -> bytes:
        """Gzip that is whole, cut off or spoiled."""
        body = bytearray(gzip.compress(self.body()))
        choice = self.random.random()
        if choice < 0.3:
            return bytes(body[: self.random.randint(0, len(body))])
        if choice < 0.6:
            body[self.random.randrange(len(body))] = self.random.randrange(256)
        return bytes(body)

    def letters(self) -> str:
        """What a header can carry, or an address."""
        choices = [
            "Basic ",
            "Basic \xe9",
            "Basic AAA6",
            "gzip",
            "\xff",
            "pk_",
            "sk_",
            "=",
            "\t",
            "1",
        ]
        return "".join(self.random.choices(choices, k=self.random.randint(0, 4)))

    def headers(self) -> dict[str, str]:
        names = [
            "Authorization", "Content-Encoding", "Origin", "Cookie", "Sec-Fetch-Site",
            "Access-Control-Request-Headers", "Content-Type", "Accept",
        ]  # fmt: skip
        return {name: self.letters() for name in self.random.sample(names, 3)}

    def query(self) -> str:
        names = ["event", "user_id", "anonymous_id", "message_id", "key", "x", "\x00"]
        pairs = {
            name: self.random.choice(TEXTS).encode(errors="surrogatepass")[:2000]
            for name in self.random.sample(names, 4)
        }
        return urlencode(pairs) + "&x=1" * self.random.choice([0, 0, 0, 1100])


def post(client: Client, path: str, body: bytes, source: Any) -> Any:
    key = source.secret_key if len(body) % 2 else source.public_key
    address = f"/v1/{path}?writeKey={key}"
    return client.post(address, body, content_type="application/json")


def test_ten_thousand_random_payloads_are_stored_or_refused_with_a_reason(client):
    source, monkey = SourceFactory(), Monkey(1)
    statuses: Counter[int] = Counter()
    silent = []
    for _ in range(REQUESTS):
        response = post(client, monkey.random.choice(PATHS), monkey.body(), source)
        statuses[response.status_code] += 1
        if response.status_code != 200 and not response.json().get("error"):
            silent.append(response.content)
    for _ in range(BATCHES):
        items = b",".join(monkey.body() for _ in range(PER_BATCH))
        statuses[post(client, "batch", b'{"batch":[' + items + b"]}", source).status_code] += 1
        messages = [monkey.message() for _ in range(PER_BATCH)]
        body = json.dumps({"batch": messages}).encode()
        statuses[post(client, "batch", body, source).status_code] += 1

    acknowledged = InboxEvent.objects.count()
    while InboxEvent.objects.exists():
        assert core.tick(now=NOON)["events"]

    assert set(statuses) <= {200, 400, 401}
    assert statuses[200] > REQUESTS / 4
    assert silent == []
    assert not RejectedEvent.objects.filter(reason="").exists()
    assert not RejectedEvent.objects.filter(reason="processing_failed").exists()
    assert 0 < Event.objects.count() <= acknowledged


def test_garbage_around_the_payload_is_no_error_of_ours(client):
    source, monkey = SourceFactory(), Monkey(2)
    odd = Monkey(3)
    statuses: Counter[int] = Counter()
    settings, pixels = set(), set()
    for _ in range(ODD_REQUESTS // 4):
        answers = [
            post(client, "batch", monkey.deep_batch(), source),
            post(client, "track", monkey.packed(), source),
            client.post("/v1/t", monkey.body(), "text/plain", headers=odd.headers()),
        ]
        statuses.update(answer.status_code for answer in answers)
        key = quote(odd.random.choice([*TEXTS, odd.letters()])[:2000], errors="surrogatepass")
        settings.add(client.get(f"/v1/projects/{key}/settings").status_code)
        pixels.add(client.get(f"/track?{odd.query()}", headers=odd.headers()).content)
    while InboxEvent.objects.exists():
        assert core.tick(now=NOON)["events"]

    assert set(statuses) == {200, 400, 401}
    assert settings == {404}
    assert pixels == {views.GIF}
    assert not RejectedEvent.objects.filter(reason__in=["", "processing_failed"]).exists()
    assert Event.objects.exists()
