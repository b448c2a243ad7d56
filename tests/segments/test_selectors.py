import pytest

from apps.segments import selectors
from apps.segments.conditions import ConditionError
from apps.segments.selectors import Size
from tests.factories.contacts import ContactFactory
from tests.factories.segments import SegmentFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db


def test_measure_counts_who_qualifies():
    ContactFactory(country="DE")
    ContactFactory(country="FR")

    assert selectors.measure(SegmentFactory(), now=NOON) == Size(1)


def test_measure_gives_up_where_counting_takes_too_long(monkeypatch):
    monkeypatch.setattr(selectors, "MILLISECONDS", 1)
    for _ in range(300):
        ContactFactory(country="DE")
    slow = {"all": [{"did_not": f"Event {number}", "within": "30 days"} for number in range(40)]}

    assert selectors.measure(SegmentFactory(condition=slow), now=NOON) == Size(None)
    assert selectors.describe_segment(SegmentFactory()) == "country is “DE”"


def test_a_condition_that_is_of_no_use_any_more_says_so():
    segment = SegmentFactory(condition={"in_segment": "gone"})
    broken = SegmentFactory(condition={"what": 1})

    with pytest.raises(ConditionError):
        selectors.measure(segment, now=NOON)

    assert selectors.describe_segment(broken).startswith("This condition can't be used: ")
