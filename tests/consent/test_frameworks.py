"""TCF strings and Google Consent Mode, as our purposes."""

from collections.abc import Iterator

import pytest

from apps.consent import frameworks
from apps.consent.models import ConsentState, ForeignSignal
from apps.events import pipeline, privacy
from apps.events import services as events
from apps.events.models import Event
from tests.consent.test_tcf import CORE
from tests.factories.events import SourceFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_meanings() -> Iterator[None]:
    frameworks.forget()
    yield
    frameworks.forget()


def mean(framework: str, **purposes: list[str]) -> None:
    """Let these signals stand for these purposes, and no others."""
    ForeignSignal.objects.all().delete()
    for purpose, signals in purposes.items():
        for signal in signals:
            ForeignSignal.objects.create(framework=framework, signal=signal, purpose_id=purpose)
    frameworks.forget()


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        ({"tracking": ["1"]}, {"tracking": True}),
        ({"tracking": ["1", "2", "3"]}, {"tracking": True}),
        ({"tracking": ["1", "4"]}, {"tracking": False}),
        (
            {"tracking": ["9"], "personalisation": ["2"]},
            {"tracking": False, "personalisation": True},
        ),
        ({}, {}),
    ],
)
def test_a_purpose_is_allowed_where_every_signal_says_yes(signals, said):
    # The example of the specification allows the purposes 1, 2 and 3.
    mean("tcf", **signals)

    assert frameworks.said_by_tcf(CORE) == said


@pytest.mark.parametrize("text", [None, "", 7, [], "nonsense", CORE[:9]])
def test_an_unreadable_string_says_nothing(text):
    assert frameworks.said_by_tcf(text) == {}


@pytest.mark.parametrize(
    ("modes", "said"),
    [
        ({"analytics_storage": "granted"}, {"tracking": True}),
        ({"analytics_storage": "denied"}, {"tracking": False}),
        ({"analytics_storage": True}, {"tracking": True}),
        ({"ad_storage": "granted"}, {}),
        ({"ad_storage": "denied"}, {"sale_or_sharing": False}),
        (
            {"ad_storage": "granted", "ad_user_data": "granted", "ad_personalization": "granted"},
            {"sale_or_sharing": True},
        ),
        ({"analytics_storage": "maybe", "ad_storage": ["denied"], "x": None}, {}),
        ("granted", {}),
        (None, {}),
    ],
)
def test_google_consent_mode_says_what_it_tells(modes, said):
    assert frameworks.said_by_google(modes) == said


def test_a_no_of_either_framework_counts_and_our_own_words_count_more():
    ForeignSignal.objects.all().delete()
    ForeignSignal.objects.create(framework="tcf", signal="1", purpose_id="tracking")
    ForeignSignal.objects.create(
        framework="google", signal="analytics_storage", purpose_id="tracking"
    )
    frameworks.forget()
    consent = {"tcString": CORE, "googleConsentMode": {"analytics_storage": "denied"}}

    both = privacy.preferences({"consent": consent})
    own = privacy.preferences({"consent": {**consent, "categoryPreferences": {"tracking": True}}})

    assert (both, own) == ({"tracking": False}, {"tracking": True})


def test_an_event_is_judged_by_its_consent_string():
    mean("tcf", tracking=["1"], personalisation=["10"])
    source = SourceFactory()
    message = {
        "type": "identify",
        "userId": "c-1",
        "messageId": "m-1",
        "context": {"consent": {"tcString": CORE, "method": "cmp"}},
    }
    events.accept(source=source, is_secret=True, messages=[message], received_at=NOON)

    pipeline.drain(now=NOON)

    states = dict(ConsentState.objects.values_list("purpose", "status"))
    record = ConsentState.objects.get(purpose="tracking").record
    assert Event.objects.get().type == "identify"
    assert states == {"tracking": "granted", "personalisation": "denied"}
    assert record.method == "cmp"
    assert CORE in record.evidence["told"]


def test_the_meanings_are_laid_once():
    mean("tcf", tracking=["1"])

    frameworks.install()

    assert ForeignSignal.objects.count() == 1
