"""A cart is left behind, and the right thing happens."""

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core import mail
from django.core.management import call_command

from apps.consent import services as consent
from apps.consent.models import ConsentRecord
from apps.contacts.models import Contact
from apps.core import registry
from apps.workflows.models import Enrollment
from tests.instants import NOON
from tests.journeys.shop import Shop, fates, live_until_quiet

pytestmark = pytest.mark.django_db


def after(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


@pytest.fixture
def shop():
    """A shop with cart recovery switched on, whose only customer is Ada."""
    shop = Shop("cart-recovery", NOON)
    shop.identify(NOON)
    live_until_quiet(NOON)
    return shop


def pass_time(*hours):
    for hour in hours:
        live_until_quiet(after(hour))


def subjects():
    return [letter.subject for letter in mail.outbox]


def test_a_cart_left_for_an_hour_becomes_a_mail_with_its_products(shop):
    shop.track(NOON, "Product Added")
    pass_time(0, 0.9)
    assert subjects() == []

    pass_time(1)

    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == (["ada@example.com"], "Ada, your cart is still here")
    html = letter.alternatives[0][0]
    for body in (letter.body, html):
        assert "Morning cup" in body
        assert "€22.00" in body
    assert 'src="https://shop.example/cup.png"' in html


def test_a_second_mail_follows_after_a_day_and_then_there_is_silence(shop):
    shop.track(NOON, "Product Added")

    pass_time(0, 1, 24.9)
    assert len(mail.outbox) == 1

    pass_time(25, 26, 100)
    assert subjects()[1:] == ["Still thinking it over? Your cart is waiting"]


def test_each_change_of_the_cart_begins_the_hour_anew(shop):
    shop.track(NOON, "Product Added")
    pass_time(0)
    shop.track(after(0.8), "Product Added")
    pass_time(0.8, 1.7)
    assert subjects() == []

    pass_time(1.8)

    assert len(mail.outbox) == 1


def test_an_order_ends_it(shop):
    shop.track(NOON, "Product Added")
    pass_time(0)
    shop.order(after(0.5))

    pass_time(0.5, 1, 25)

    assert subjects() == []
    assert Enrollment.objects.get().exit_reason == "exit_condition"


def test_an_order_between_the_two_mails_ends_it(shop):
    shop.track(NOON, "Product Added")
    pass_time(0, 1)
    shop.order(after(2))

    pass_time(2, 25)

    assert len(mail.outbox) == 1


def stage(name):
    return next(stage for stage in registry.stages() if stage.name == name)


def test_an_order_that_is_acknowledged_but_not_processed_holds_the_mail_and_then_stops_it(shop):
    shop.track(NOON, "Product Added")
    pass_time(0)
    stage("workflows").run(after(1))
    shop.order(after(1))

    stage("messaging").run(after(1))
    assert fates() == [("first-reminder", "queued", "pending_events")]

    pass_time(1.1)
    assert fates() == [("first-reminder", "skipped", "exit_condition")]
    assert subjects() == []


def test_after_an_outage_the_two_mails_keep_their_distance(shop):
    shop.track(NOON, "Product Added")
    pass_time(0)
    for hour in (1, 25):
        stage("workflows").run(after(hour))

    pass_time(25, 48.9)
    assert [status for _, status, _ in fates()] == ["sent", "queued"]
    assert fates()[1][2] == "too_soon"

    pass_time(49.01)
    assert len(mail.outbox) == 2


def test_the_cart_of_an_unknown_visitor_counts_once_they_say_who_they_are(shop):
    shop.browse(NOON, "Product Added")
    pass_time(0)
    assert not Enrollment.objects.exists()

    shop.identify(after(0.5), anonymousId="browser-1")
    pass_time(0.5, 1)

    assert subjects() == ["Ada, your cart is still here"]


def test_an_old_cart_of_an_unknown_visitor_starts_nothing(shop):
    shop.browse(NOON, "Product Added")
    pass_time(0)

    shop.identify(after(48), anonymousId="browser-1")
    pass_time(48, 50)

    assert subjects() == []


def unsubscribe(at):
    """Ada follows the link in a mail."""
    consent.unsubscribe(
        contact=Contact.objects.get(),
        method=ConsentRecord.Method.ONE_CLICK,
        source="mail",
        now=at,
    )


def test_who_unsubscribes_gets_no_more(shop):
    shop.track(NOON, "Product Added")
    pass_time(0, 1)
    unsubscribe(after(2))

    pass_time(25)

    assert len(mail.outbox) == 1
    assert Enrollment.objects.get().exit_reason == "consent_withdrawn"


def test_who_unsubscribes_stays_so_until_they_agree_anew(shop):
    shop.track(NOON, "Product Added")
    pass_time(0, 1)
    unsubscribe(after(2))

    shop.identify(after(3))
    shop.track(after(3), "Product Added", cart="c2")
    pass_time(3, 4.1, 30)
    assert len(mail.outbox) == 1

    agreed = {"categoryPreferences": {"email_marketing": True}, "method": "form"}
    shop.tell(after(31), type="identify", userId="ada", context={"consent": agreed})
    shop.track(after(31), "Product Added", cart="c3")
    pass_time(31, 32.1)
    assert len(mail.outbox) == 2


def test_two_carts_of_one_person_each_get_their_mail(shop):
    shop.track(NOON, "Product Added", cart="c1")
    shop.track(after(0.5), "Product Added", cart="c2")

    pass_time(0.5, 1, 1.5)

    assert len(mail.outbox) == 2


def test_a_retried_request_changes_nothing(shop):
    for _ in range(5):
        shop.track(NOON, "Product Added", messageId="same")
        pass_time(0)

    pass_time(1, 1.1)

    assert len(mail.outbox) == 1
    assert Enrollment.objects.get().restart_count == 0


def test_explain_tells_why_a_mail_went_out_and_why_the_next_did_not(shop):
    shop.track(NOON, "Product Added")
    pass_time(0, 1)
    shop.order(after(2))
    pass_time(2)
    out = StringIO()

    call_command("explain", "ada@example.com", stdout=out)

    text = out.getvalue()
    for expected in ("Cart recovery (live)", "left early with c1", "enter Product Added"):
        assert expected in text
    for expected in ("mail cart-reminder-1 is sent", "exit exit_condition", "Order Completed"):
        assert expected in text
