"""What events say about consent, and what is kept of whom."""

from datetime import timedelta

import pytest

from apps.commerce.models import Order
from apps.consent import services as consents
from apps.consent.models import ConsentRecord
from apps.contacts.models import Contact
from apps.events import pipeline, registry, services
from apps.events.models import Event
from tests.events.messages import consent, identify, track
from tests.factories.consent import TopicFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(days=1)
ADA = {"userId": "ada", "traits": {"email": "ada@example.com"}}


def agrees(**how):
    """Ada's yes to mail, as a call's context tells it."""
    context = consent(email_marketing=True)
    return {"context": {"consent": context["consent"] | how}}


def history():
    """All that Ada has said about mail: (status, method), oldest first."""
    said = ConsentRecord.objects.filter(purpose="email_marketing").order_by("id")
    return list(said.values_list("status", "method"))


@pytest.fixture
def unsubscribed(send):
    """Ada agreed when she signed up, and has unsubscribed since."""

    def unsubscribe(method):
        send(identify(**ADA, **agrees()))
        consents.unsubscribe(contact=Contact.objects.get(), method=method, source="mail", now=NOON)

    return unsubscribe


@pytest.mark.parametrize("method", ["one_click", "unsubscribe_page", "complaint", "staff"])
@pytest.mark.parametrize("call", [identify(**ADA), track("Logged In", userId="ada")])
@pytest.mark.parametrize("how", [{}, {"method": "api"}, {"method": "import"}, {"method": ["form"]}])
def test_a_stored_yes_that_a_server_repeats_undoes_no_unsubscribe(
    send, unsubscribed, method, call, how
):
    unsubscribed(method)

    send(call | agrees(**how), at=LATER)

    assert history() == [("granted", "api"), ("denied", method)]
    assert consents.is_suppressed("ada@example.com")


@pytest.mark.parametrize("method", ["form", "banner", "staff"])
@pytest.mark.parametrize("call", [identify(**ADA), track("Signed Up", userId="ada")])
def test_a_yes_whose_act_is_told_counts_after_an_unsubscribe(send, unsubscribed, method, call):
    unsubscribed("one_click")

    send(call | agrees(method=method, wordingVersion="2026-03"), at=LATER)

    assert history()[-1] == ("granted", method)
    assert ConsentRecord.objects.last().wording_version == "2026-03"
    assert not consents.is_suppressed("ada@example.com")


def test_a_browser_alone_gives_no_consent_however_it_says_so(send, unsubscribed):
    unsubscribed("one_click")

    send(identify(anonymousId="b1", **ADA, **agrees(method="form")), is_secret=False, at=LATER)

    assert history()[-1] == ("denied", "one_click")


def test_a_repeated_yes_does_not_stand_for_the_fresh_one_beside_it(send, unsubscribed):
    unsubscribed("one_click")

    send(identify(**ADA, **agrees()), identify(**ADA, **agrees(method="form")), at=LATER)

    assert history()[-1] == ("granted", "form")
    assert not consents.is_suppressed("ada@example.com")


def test_a_yes_that_waited_while_ada_unsubscribed_comes_too_late(send, source):
    send(identify(**ADA, **agrees()))
    yes = identify(**ADA, **agrees(method="form"))
    services.accept(source=source, is_secret=True, messages=[yes], received_at=NOON)
    consents.unsubscribe(contact=Contact.objects.get(), method="staff", source="", now=LATER)

    pipeline.drain(now=LATER + timedelta(minutes=1))

    assert history() == [("granted", "api"), ("denied", "staff")]
    assert consents.is_suppressed("ada@example.com")


def test_a_yes_that_comes_too_late_does_not_stand_for_the_fresh_one_after_it(send, source):
    send(identify(**ADA, context=consent(email_marketing=False)), at=LATER)
    for at in (NOON, LATER + timedelta(minutes=1)):
        yes = identify(**ADA, **agrees())
        services.accept(source=source, is_secret=True, messages=[yes], received_at=at)

    pipeline.drain(now=LATER + timedelta(minutes=1))

    assert [status for status, _ in history()] == ["denied", "granted"]


def test_a_no_after_a_repeated_yes_is_heard(send):
    send(identify(**ADA, context=consent(email_marketing=False)))

    send(
        track("Logged In", userId="ada", **agrees()),
        track("Logged In", userId="ada", context=consent(email_marketing=False)),
        at=LATER,
    )

    assert [status for status, _ in history()] == ["denied", "granted", "denied"]


def test_a_refusal_of_tracking_beside_a_repeated_yes_lifts_no_unsubscription(send):
    consents.suppress(emails=["ada@example.com"], reason="unsubscribed", now=NOON)

    send(identify(**ADA, context=consent(email_marketing=True, tracking=False)), at=LATER)

    assert history() == [("granted", "api")]
    assert consents.is_suppressed("ada@example.com")


REFUSED = consent(tracking=False)
ORDER = {"event": "Order Completed", "properties": {"order_id": "o-1", "total": 20}}


def order(**who):
    """An order of somebody who refuses tracking, as the shop's server tells it."""
    context = REFUSED | {"traits": who.pop("traits", {}), "ip": "203.0.113.7"}
    return {"type": "track", **ORDER, **who, "context": context}


@pytest.mark.parametrize(
    "who",
    [
        {"userId": "eve"},
        {"anonymousId": "b2"},
        {"userId": "eve", "traits": {"email": "eve@example.com"}, "anonymousId": "b2"},
    ],
)
def test_the_order_of_a_stranger_who_refuses_tracking_stays_nobody_s(send, who):
    send(order(**who))

    event = Event.objects.get()
    assert (event.contact_id, event.anonymous_id, event.context) == (None, "", {})
    assert list(Order.objects.values_list("key", "contact", "anonymous_id")) == [("o-1", None, "")]
    assert not Contact.objects.exists()
    assert not ConsentRecord.objects.exists()


@pytest.mark.parametrize(
    "who", [{"userId": "ada"}, {"anonymousId": "b1"}, {"traits": {"email": "ada@example.com"}}]
)
def test_the_order_of_somebody_we_know_is_theirs_though_they_refuse_tracking(send, who):
    send(identify(anonymousId="b1", **ADA))

    send(order(**who), at=LATER)

    event = Event.objects.get(name="Order Completed")
    assert (event.contact, event.anonymous_id) == (Contact.objects.get(), "")
    assert ConsentRecord.objects.get().status == "denied"


def test_an_order_that_asks_for_mail_makes_a_contact_without_a_browser(send):
    wanted = consent(tracking=False, email_marketing=True)

    send(order(userId="eve", anonymousId="b2") | {"context": wanted})

    contact = Contact.objects.get()
    assert list(contact.identities.values_list("kind", "value")) == [("user_id", "eve")]
    assert Event.objects.get().contact == contact


def test_of_an_event_whose_person_refuses_stays_only_that_it_came(send, source):
    refused = consent(tracking=False) | {"ip": "203.0.113.7"}

    send(
        track(userId="ada", anonymousId="b1", messageId="m1", properties={"a": 1}, context=refused)
    )

    row = Event.objects.values().get()
    del row["id"]
    assert row == {
        "contact_id": None, "anonymous_id": "", "type": "dropped", "name": "",
        "properties": {}, "context": {}, "source_id": source.pk, "message_id": "m1",
        "is_trusted": True, "is_backfill": False, "received_at": NOON, "occurred_at": NOON,
        "sent_at": None, "original_at": None,
    }  # fmt: skip


def test_a_retry_of_a_dropped_event_speaks_for_nobody_again(send):
    wanted = {"categoryPreferences": {"tracking": False, "email_marketing": True}, "method": "form"}
    signed_up = identify(**ADA, messageId="m1", context={"consent": wanted})
    send(signed_up)
    consents.unsubscribe(contact=Contact.objects.get(), method="one_click", source="", now=NOON)

    send(signed_up, at=LATER)

    assert history() == [("granted", "form"), ("denied", "one_click")]
    assert Event.objects.count() == 1


def test_projections_see_no_dropped_event(send, monkeypatch):
    seen = []
    monkeypatch.setattr(registry, "_projections", {"x": registry.Projection("x", 1, seen.append)})

    send(track("Seen", userId="ada"), track("Unseen", userId="ada", context=REFUSED))

    assert [event.name for event in seen[0].all_events()] == ["Seen"]


def test_a_topic_is_named_as_a_purpose_is(send):
    TopicFactory(key="news")

    for at in (NOON, LATER):
        send(identify(**ADA, context=consent(email_marketing=True, news=False)), at=at)
    send(identify(**ADA, context=consent(news=True)), at=LATER + timedelta(days=1))

    said = ConsentRecord.objects.order_by("id").values_list("purpose", "topic", "status")
    assert list(said) == [
        # PostgreSQL sorts what an object holds by the length of the names.
        ("email_marketing", "news", "denied"),
        ("email_marketing", None, "granted"),
        ("email_marketing", "news", "granted"),
    ]


@pytest.mark.parametrize("call", [track(userId="ada"), {"type": "page", "userId": "ada"}])
@pytest.mark.parametrize(("answer", "status"), [(True, "granted"), (False, "denied")])
def test_a_server_s_preference_counts_on_every_call(send, call, answer, status):
    send(call | {"context": consent(email_marketing=answer)})

    assert history() == [(status, "api")]
    assert ConsentRecord.objects.get().contact == Contact.objects.get(external_id="ada")


def test_a_browser_takes_consent_back_and_never_gives_it(send):
    send(identify(anonymousId="b1", **ADA, **agrees()))
    browser = {"anonymousId": "b1"}

    send(track(**browser, context=consent(email_marketing=False)), is_secret=False, at=LATER)
    send(track(**browser, **agrees()), is_secret=False, at=LATER + timedelta(hours=1))

    assert history() == [("granted", "api"), ("denied", "api")]


@pytest.mark.parametrize("browser", ["b1", "b2"])
def test_a_stranger_s_browser_takes_nobody_s_consent_back(send, browser):
    send(identify(**ADA, **agrees()))

    no = consent(email_marketing=False, tracking=False)
    send(track(userId="ada", anonymousId=browser, context=no), is_secret=False, at=LATER)

    assert history() == [("granted", "api")]
    assert not ConsentRecord.objects.filter(purpose="tracking").exists()


@pytest.mark.parametrize(
    ("method", "stored"),
    [
        ("banner", ("banner", "v9")), ("form", ("form", "v9")),
        ("staff", ("api", "")), ("one_click", ("api", "")), ("complaint", ("api", "")),
        (None, ("api", "")), (["form"], ("api", "")),
    ],
)  # fmt: skip
def test_a_browser_proves_only_its_banner_and_its_forms(send, method, stored):
    send(identify(anonymousId="b1", **ADA, **agrees()))
    no = {"categoryPreferences": {"email_marketing": False}, "method": method}

    send(
        track(anonymousId="b1", context={"consent": no | {"wordingVersion": "v9", "ip": "::1"}}),
        is_secret=False,
        at=LATER,
    )

    record = ConsentRecord.objects.last()
    assert (record.status, record.method, record.wording_version) == ("denied", *stored)
    assert record.evidence == {"said_at": LATER.isoformat()}


def test_a_browser_s_yes_lifts_no_refusal_of_a_contact(send):
    send(identify(anonymousId="b1", **ADA))
    send(identify(**ADA, context=REFUSED), at=LATER)

    yes = consent(tracking=True)
    send(track("Seen", anonymousId="b1", context=yes), is_secret=False, at=LATER)
    send(track("Told", anonymousId="b1", context=yes), at=LATER + timedelta(hours=1))
    send(track("Seen again", anonymousId="b1"), is_secret=False, at=LATER + timedelta(hours=2))

    kept = Event.objects.filter(type="track").order_by("id").values_list("name", flat=True)
    assert list(kept) == ["Told", "Seen again"]


def test_a_banner_s_yes_counts_for_a_browser_that_is_nobody_s(send):
    for name, answer in (("No", False), ("Yes", True)):
        send(track(name, anonymousId="b1", context=consent(tracking=answer)), is_secret=False)

    assert [event.name for event in Event.objects.exclude(type="dropped")] == ["Yes"]


@pytest.mark.parametrize(
    ("name", "is_secret", "is_kept"),
    [
        ("Order Completed", True, True),
        ("Order Refunded", True, True),
        ("Product Viewed", True, False),
        ("Order Completed", False, False),
    ],
)
def test_of_who_refuses_only_a_server_s_orders_are_kept(send, name, is_secret, is_kept):
    send(identify(anonymousId="b1", **ADA))
    send(identify(**ADA, context=REFUSED))

    send(
        track(name, anonymousId="b1", properties={"order_id": "o-1"}, context={"ip": "::1"}),
        is_secret=is_secret,
        at=LATER,
    )

    event = Event.objects.order_by("id").last()
    ada = Contact.objects.get() if is_kept else None
    assert event.type == ("track" if is_kept else "dropped")
    assert (event.contact, event.anonymous_id, event.context) == (ada, "", {})


def test_who_refuses_tracking_and_wants_mail_stays_the_contact_of_their_browser(send):
    guest = {"traits": {"email": "ada@example.com"}}
    send(identify(anonymousId="b1", **guest), is_secret=False)
    wanted = consent(tracking=False, email_marketing=True)

    send(order(userId="ada", anonymousId="b1") | {"context": wanted}, at=LATER)

    ada = Contact.objects.get()
    assert (ada.external_id, ada.email) == ("ada", "ada@example.com")
    assert not ada.identities.filter(kind="anonymous_id").exists()
    assert history() == [("granted", "api")]
