"""What events say about consent, and what is kept of whom."""

from datetime import timedelta

import pytest

from apps.consent import services as consents
from apps.consent.models import ConsentRecord
from apps.contacts.models import Contact
from tests.events.messages import consent, identify, track
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
