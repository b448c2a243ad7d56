"""Segment's own Python client against the live server: from its calls to the mail, unchanged."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from segment.analytics.client import Client

from apps.contacts.models import Contact
from apps.core import services as core
from apps.events import services as events
from apps.events.models import Event, InboxEvent
from apps.workflows import services as workflows
from tests.journeys.shop import CUP, fates

pytestmark = pytest.mark.django_db(transaction=True)

CONSENT = {"consent": {"categoryPreferences": {"tracking": True, "email_marketing": True}}}


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def client(request: Any, live_server: Any) -> Iterator[Client]:
    """The official client with a secret key, in batches, with and without gzip."""
    now = timezone.now()
    _, secret_key = events.create_source(name="Shop", now=now)
    workflows.go_live(workflow=workflows.install_recipe(key="cart-recovery-demo", now=now), now=now)
    client = Client(secret_key, host=live_server.url, gzip=request.param, max_retries=1, timeout=5)
    yield client
    client.join()


def leave_a_cart(client: Client) -> None:
    client.identify("ada", {"email": "ada@example.com", "firstName": "Ada"}, context=CONSENT)
    client.track("ada", "Product Added", {**CUP, "cart_id": "c1"})
    client.flush()


def pass_time(**time: float) -> None:
    core.tick(now=timezone.now() + timedelta(**time))


def test_a_cart_told_by_the_official_client_becomes_a_mail(client):
    leave_a_cart(client)
    pass_time()
    pass_time(minutes=1)

    (letter,) = mail.outbox
    assert letter.to == ["ada@example.com"]
    assert "Morning cup" in letter.body
    assert fates() == [("first-reminder", "sent", "")]


def test_an_order_in_between_means_no_mail(client):
    leave_a_cart(client)
    pass_time()
    client.track("ada", "Order Completed", {"order_id": "o1", "cart_id": "c1", "total": 22})
    client.flush()
    pass_time(minutes=1)
    pass_time(minutes=5)

    assert mail.outbox == []
    assert fates() == []


def test_every_kind_of_call_is_stored(client):
    client.identify("ada", {"email": "ada@example.com"}, context=CONSENT)
    client.page("ada", "Docs", "Start", {"url": "https://shop.example"})
    client.screen("ada", "Home", "Start")
    client.group("ada", "club", {"name": "Club"})
    client.alias("browser-1", "ada")
    client.track("ada", "Product Viewed", CUP)
    client.flush()
    pass_time()

    assert sorted(Event.objects.values_list("type", flat=True)) == sorted(
        ["identify", "page", "screen", "group", "alias", "track"]
    )
    assert Contact.objects.count() == 1
    assert not InboxEvent.objects.exists()


def test_two_thousand_calls_arrive_once_each(client):
    client.identify("ada", {"email": "ada@example.com"}, context=CONSENT)
    for number in range(2000):
        client.track("ada", "Product Viewed", {**CUP, "number": number})
    client.flush()
    while InboxEvent.objects.exists():
        pass_time()

    assert Event.objects.filter(name="Product Viewed").count() == 2000
