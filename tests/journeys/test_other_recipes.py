"""Browsing and buying, each with the mail that comes with the product."""

from datetime import timedelta

import pytest
from django.core import mail

from apps.workflows.models import EntryRefusal
from tests.instants import NOON
from tests.journeys.shop import Shop, live_until_quiet

pytestmark = pytest.mark.django_db


def pass_time(*hours):
    for hour in hours:
        live_until_quiet(NOON + timedelta(hours=hour))


def pass_minutes(*minutes):
    pass_time(*(minute / 60 for minute in minutes))


def subjects():
    return [letter.subject for letter in mail.outbox]


def open_shop(recipe):
    shop = Shop(recipe, NOON)
    shop.identify(NOON)
    live_until_quiet(NOON)
    return shop


def test_in_demo_timing_the_mails_come_after_one_minute_and_three_more():
    shop = open_shop("cart-recovery-demo")
    shop.track(NOON, "Product Added")
    pass_minutes(0, 0.9)
    assert subjects() == []

    pass_minutes(1, 3.9)
    assert subjects() == ["Ada, your cart is still here"]

    pass_minutes(4, 5, 60)
    assert subjects()[1:] == ["Still thinking it over? Your cart is waiting"]


def test_in_demo_timing_an_order_between_the_mails_ends_it():
    shop = open_shop("cart-recovery-demo")
    shop.track(NOON, "Product Added")
    pass_minutes(0, 1)
    shop.order(NOON + timedelta(minutes=2))

    pass_minutes(2, 4, 5)

    assert len(mail.outbox) == 1


def test_half_an_hour_after_browsing_comes_a_mail_and_then_a_week_of_rest():
    shop = open_shop("browse-abandonment")
    shop.track(NOON, "Product Viewed")
    pass_time(0, 0.4)
    assert subjects() == []

    pass_time(0.5)
    shop.track(NOON + timedelta(hours=5), "Product Viewed")
    pass_time(5, 6)

    assert subjects() == ["Still interested in Morning cup?"]
    assert list(EntryRefusal.objects.values_list("reason", flat=True)) == ["re_entry"]


@pytest.mark.parametrize("event", ["Product Added", "Checkout Started", "Order Completed"])
def test_who_goes_on_to_a_cart_or_an_order_is_not_reminded_of_browsing(event):
    shop = open_shop("browse-abandonment")
    shop.track(NOON, "Product Viewed")
    pass_time(0)
    shop.track(NOON + timedelta(minutes=10), event)

    pass_time(0.2, 1)

    assert subjects() == []


def test_an_order_is_followed_by_thanks_and_a_request_for_a_review():
    shop = open_shop("post-purchase")
    shop.order(NOON)
    pass_time(0, 71)
    assert subjects() == []

    pass_time(72, 167)
    assert subjects() == ["Thank you for your order"]

    pass_time(168, 400)
    assert subjects()[1:] == ["How do you like it?"]
    assert "Morning cup" in mail.outbox[1].body


def test_a_refund_ends_the_conversation_about_its_order():
    shop = open_shop("post-purchase")
    shop.order(NOON, cart="c1")
    shop.order(NOON, cart="c2")
    pass_time(0)
    refund = {"order_id": "o-c1"}
    shop.tell(NOON, type="track", event="Order Refunded", userId="ada", properties=refund)

    pass_time(1, 72)

    assert len(mail.outbox) == 1
