"""One order is one order, whoever tells it, in whichever order, in one batch or in two."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.commerce.models import Order
from apps.contacts.models import Contact
from apps.events import duplicates, pipeline, registry, services
from apps.events.models import Event, EventDefinition, NaturalKey
from apps.events.registry import Batch, Projection
from apps.workflows import engine
from apps.workflows import services as workflows
from apps.workflows.models import Enrollment
from tests.events.messages import identify, track
from tests.factories.contacts import ContactFactory
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

ORDER = "Order Completed"
QUIET = """key: quiet
name: Quiet
trigger: {event: Checkout Started}
entry_key: cart
steps:
  - wait: 1 hour
    restart_on_trigger: true
  - exit: done
"""
LATER = NOON + timedelta(minutes=5)


@pytest.fixture
def batches():
    """What projections are given, after the real ones."""
    seen: list[Batch] = []
    registry.register_projection(Projection("test", 99, seen.append))
    yield seen
    registry._projections.pop("test")


def by_browser(order_id="o1", total=10, **fields):
    fields = {"anonymousId": "a1", "messageId": f"browser-{order_id}", **fields}
    return track(ORDER, properties={"order_id": order_id, "total": total}, **fields)


def by_server(order_id="o1", total=12, **fields):
    fields = {"userId": "u1", "messageId": f"server-{order_id}", **fields}
    return track(ORDER, properties={"order_id": order_id, "total": total}, **fields)


def counting():
    events = Event.objects.filter(type="track", name=ORDER).order_by("id")
    return list(events.values_list("message_id", flat=True))


def counting_of(name):
    events = Event.objects.filter(type="track", name=name).order_by("id")
    return list(events.values_list("message_id", flat=True))


def duplicated():
    events = Event.objects.filter(type="duplicate").order_by("id")
    return list(events.values_list("message_id", flat=True))


def told(batches):
    return [
        event.message_id
        for batch in batches
        for event in batch.all_events()
        if event.name == ORDER and event.contact_id
    ]


def know_browser(send):
    """The server names who has this browser."""
    send(identify(userId="u1", anonymousId="a1", messageId="i1"))


def test_the_servers_order_counts_in_the_place_of_the_browsers(send, batches):
    know_browser(send)

    send(by_browser(), is_secret=False)
    send(by_server(), at=LATER)

    assert (counting(), duplicated()) == (["server-o1"], ["browser-o1"])
    assert told(batches) == ["browser-o1"]
    assert [event.message_id for batch in batches for event in batch.repeats] == ["server-o1"]
    order = Order.objects.get()
    assert (order.key, order.total) == ("o1", 12)


def test_the_browsers_order_after_the_servers_takes_no_effect(send, batches):
    know_browser(send)

    send(by_server())
    send(by_browser(), is_secret=False, at=LATER)

    assert (counting(), duplicated()) == (["server-o1"], ["browser-o1"])
    assert told(batches) == ["server-o1"]
    assert Order.objects.get().total == 12
    duplicate = Event.objects.get(type="duplicate")
    assert duplicate.context["cuepost"]["duplicate_of"] == {
        "source_id": duplicate.source_id,
        "message_id": "server-o1",
    }


@pytest.mark.parametrize("is_server_first", [True, False])
def test_both_in_one_batch_are_one(source, batches, is_server_first):
    services.accept(
        source=source, is_secret=True, received_at=NOON,
        messages=[identify(userId="u1", anonymousId="a1", messageId="i1")],
    )  # fmt: skip
    calls = [(True, by_server(anonymousId="a1")), (False, by_browser())]
    for is_secret, message in calls if is_server_first else reversed(calls):
        services.accept(source=source, is_secret=is_secret, messages=[message], received_at=NOON)

    pipeline.drain(now=NOON)

    assert (counting(), duplicated()) == (["server-o1"], ["browser-o1"])
    assert told(batches) == ["server-o1"]
    assert Order.objects.get().total == 12


def test_the_order_of_an_unknown_browser_gives_way_to_that_of_a_contact(send, batches):
    send(by_browser(), is_secret=False)
    send(by_server(), at=LATER)

    assert (counting(), duplicated()) == (["server-o1"], ["browser-o1"])
    assert told(batches) == ["server-o1"]


def test_a_duplicate_stays_one_when_its_browser_turns_out_to_be_the_buyers(send, batches):
    send(by_server())
    send(by_browser(), is_secret=False)

    know_browser(send)

    assert (counting(), duplicated()) == (["server-o1"], ["browser-o1"])
    assert told(batches) == ["server-o1"]
    assert set(Event.objects.filter(name=ORDER).values_list("contact__external_id", flat=True)) == {
        "u1"
    }


def test_a_duplicate_counts_for_whoever_its_browser_turns_out_to_be(send, batches):
    send(by_server(userId="somebody-else"))
    send(by_browser(), is_secret=False)

    know_browser(send)

    assert (sorted(counting()), duplicated()) == (["browser-o1", "server-o1"], [])
    assert told(batches) == ["server-o1", "browser-o1"]
    assert not Event.objects.get(message_id="browser-o1").context.get("cuepost")


def test_orders_of_two_contacts_stay_two(send, batches):
    know_browser(send)

    send(by_browser(), is_secret=False)
    send(by_server(userId="somebody-else"), at=LATER)

    assert counting() == ["browser-o1", "server-o1"]
    assert told(batches) == ["browser-o1", "server-o1"]


def test_nobody_takes_an_order_away_by_telling_it_first(send, batches):
    send(by_browser(anonymousId="thief"), is_secret=False)
    know_browser(send)

    send(by_browser(messageId="mine"), is_secret=False, at=LATER)

    assert (counting(), duplicated()) == (["mine"], ["browser-o1"])
    assert told(batches) == ["mine"]


def test_two_servers_tell_one_order_and_the_last_details_count(send, batches):
    shop = SourceFactory()

    send(by_server())
    send(by_server(total=15, messageId="shop-o1"), sender=shop, at=LATER)

    assert (counting(), duplicated()) == (["server-o1"], ["shop-o1"])
    assert told(batches) == ["server-o1"]
    assert Order.objects.get().total == 15


def test_another_key_or_none_is_another_event(send):
    send(
        by_server("o1"),
        by_server("o2"),
        by_server(None, messageId="n1"),
        by_server(None, messageId="n2"),
        by_server("null", messageId="n3"),
        by_server("null", messageId="n4"),
        by_server(True, messageId="n5"),
    )

    assert len(counting()) == 7
    assert NaturalKey.objects.count() == 2


def test_a_number_and_its_text_are_one_key(send):
    send(by_server(7, messageId="m1"), by_server("7", messageId="m2"))

    assert (counting(), duplicated()) == (["m1"], ["m2"])


def test_what_was_told_long_ago_is_no_original(send):
    send(by_server(), at=NOON - timedelta(days=46))
    send(by_server(messageId="again"))

    assert counting() == ["server-o1", "again"]


def test_history_of_any_age_is_found_by_an_import(send):
    send(by_server(), at=NOON - timedelta(days=60))
    send(by_server(messageId="imported"), is_backfill=True)

    assert (counting(), duplicated()) == (["server-o1"], ["imported"])


def test_a_key_by_hand_keeps_steps_of_a_cart_from_counting_twice(send):
    EventDefinition.objects.filter(name="Product Added").update(natural_key="line_id")
    added = {"product_id": "p1", "price": 5, "quantity": 1, "line_id": "l1", "cart_id": "c1"}

    send(track("Product Added", userId="u1", messageId="m1", properties=added))
    send(track("Product Added", userId="u1", messageId="m2", properties=added))

    from apps.commerce.models import CartItem

    assert CartItem.objects.get().quantity == 1
    assert duplicated() == ["m2"]


def test_a_dropped_order_is_no_original(send):
    refused = {"consent": {"categoryPreferences": {"tracking": False}}}

    send(by_browser(context=refused), is_secret=False)
    send(by_server(), at=LATER)

    assert (counting(), duplicated()) == (["server-o1"], [])


def test_who_is_back_at_the_same_checkout_is_still_left_in_peace(send):
    workflow = workflows.save_definition(source=QUIET, now=NOON).workflow
    workflows.go_live(workflow=workflow, now=NOON)
    started = {"checkout_id": "k1", "cart_id": "c1"}

    def begin(minutes, message_id, is_secret=True):
        message = track(
            "Checkout Started", userId="u1", anonymousId="a1", messageId=message_id,
            properties=started,
        )  # fmt: skip
        send(message, is_secret=is_secret, at=NOON + timedelta(minutes=minutes))

    begin(0, "m1")
    begin(5, "m2", is_secret=False)
    hybrid = Enrollment.objects.get().wake_at
    engine.advance(now=NOON + timedelta(minutes=6))
    begin(50, "m3")

    enrollment = Enrollment.objects.get()
    assert hybrid == NOON
    assert enrollment.wake_at == NOON + timedelta(minutes=110)
    assert enrollment.restart_count == 1
    assert counting_of("Checkout Started") == ["m1"]


def test_old_keys_are_let_go(send):
    send(by_server("old"), at=NOON - timedelta(days=50))
    send(by_server("new"))

    assert duplicates.forget(before=duplicates.look_back(NOON)) == 1
    assert NaturalKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_meet_at_one_order_make_one_of_it():
    source = SourceFactory()
    ContactFactory(external_id="u1")
    services.accept(
        source=source, is_secret=True, received_at=NOON,
        messages=[by_server(f"o{number}", userId="u1") for number in range(20)],
    )  # fmt: skip
    services.accept(
        source=source, is_secret=True, received_at=NOON,
        messages=[by_server(f"o{n}", anonymousId=f"a{n}", messageId=f"b-{n}") for n in range(20)],
    )  # fmt: skip
    together = threading.Barrier(3)
    problems: list[Exception] = []

    def work():
        try:
            together.wait(10)
            for _ in range(5):
                try:
                    pipeline.drain(now=NOON)
                except Exception as problem:
                    problems.append(problem)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    pipeline.drain(now=NOON)

    assert len(counting()) == len(duplicated()) == 20
    assert Order.objects.count() == NaturalKey.objects.count() == 20


TELLINGS = st.lists(
    st.tuples(
        st.sampled_from(["o1", "o2"]),
        st.booleans(),
        st.sampled_from(["u1", "u2", None]),
        st.sampled_from(["a1", "a2", None]),
        st.booleans(),
    ),
    min_size=1,
    max_size=10,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tellings=TELLINGS)
def test_no_contact_has_an_order_twice_however_it_is_told(source, tellings):
    with transaction.atomic():
        for number, (order_id, is_secret, user_id, browser, is_last_of_batch) in enumerate(
            tellings
        ):
            message = by_server(
                order_id, userId=user_id, anonymousId=browser or ("a3" if not user_id else None),
                messageId=f"m{number}",
            )  # fmt: skip
            services.accept(
                source=source, is_secret=is_secret, messages=[message], received_at=NOON
            )
            if is_last_of_batch:
                pipeline.drain(now=NOON)
        pipeline.drain(now=NOON)

        of = [
            (event.contact_id, event.properties["order_id"])
            for event in Event.objects.filter(type="track", name=ORDER)
        ]
        assert len(of) == len(set(of))
        owned = {order_id for contact_id, order_id in of if contact_id}
        assert owned.isdisjoint(order_id for contact_id, order_id in of if contact_id is None)
        assert {order_id for _, order_id in of} == {one[0] for one in tellings}
        assert NaturalKey.objects.count() == len(of)
        bought = set(
            Event.objects.exclude(contact=None).values_list("contact_id", "properties__order_id")
        )
        assert bought == {pair for pair in of if pair[0]}
        assert Contact.objects.count() <= 4
        transaction.set_rollback(True)
