import pytest

from apps.segments import services
from apps.segments.compiler import contacts_matching
from apps.segments.conditions import ConditionError, parse
from apps.segments.models import Segment
from apps.segments.references import CircularSegment, UnknownSegment
from tests.factories.contacts import ContactFactory
from tests.factories.segments import SegmentFactory
from tests.instants import NOON

pytestmark = pytest.mark.django_db

GERMAN = {"attribute": "country", "is": "DE"}


def save(key, condition):
    return services.save_segment(key=key, name=key, condition=condition)


def test_save_segment_stores_what_can_be_asked():
    segment = save("germans", GERMAN)
    contact = ContactFactory(country="DE")
    ContactFactory(country="FR")

    again = services.save_segment(key="germans", name="Germans", condition=GERMAN)

    assert (again, again.name) == (segment, "Germans")
    assert list(contacts_matching(parse({"in_segment": "germans"}), as_of=NOON)) == [contact]


@pytest.mark.parametrize(
    ("key", "condition", "message"),
    [
        ("a b", GERMAN, "in_segment: “a b” must have only letters, digits, - and _."),
        ("x", {"dad": 1}, "“dad” is not a condition"),
        (
            "x",
            {"did": "A", "within": "since_enrollment"},
            "within: since_enrollment can't be used here",
        ),
        ("x", {"all": [{"in_segment": "gone"}]}, "in_segment: there is no segment “gone”."),
        ("x", {"in_segment": "x"}, "in_segment: the segments form a circle: x → x."),
        ("b", {"in_segment": "c"}, "in_segment: the segments form a circle: b → c → b."),
        ("x", {"in_segment": "broken"}, "segment broken: “oops” is not a condition"),
    ],
)
def test_save_segment_refuses_by_name_and_changes_nothing(key, condition, message):
    SegmentFactory(key="b")
    SegmentFactory(key="c", condition={"not": {"in_segment": "b"}})
    SegmentFactory(key="broken", condition="oops")
    before = list(Segment.objects.order_by("pk").values())

    with pytest.raises(ConditionError) as problem:
        save(key, condition)

    assert str(problem.value).startswith(message)
    assert list(Segment.objects.order_by("pk").values()) == before


def test_segments_may_share_others_but_not_without_end():
    save("s0", {"any": [{"did": "A"}, {"did": "B"}]})
    for number in range(1, 7):
        save(f"s{number}", {"any": [{"in_segment": f"s{number - 1}"}] * 2})

    with pytest.raises(ConditionError, match="more than 500 parts with its segments"):
        save("s7", {"any": [{"in_segment": "s6"}] * 2})


@pytest.mark.parametrize(
    "ask", [services.check_segments, lambda c: contacts_matching(c, as_of=NOON)]
)
def test_conditions_about_segments_that_cannot_be_used_are_refused(ask):
    SegmentFactory(key="circle", condition={"in_segment": "circle"})

    with pytest.raises(CircularSegment):
        ask(parse({"not": {"in_segment": "circle"}}))
    with pytest.raises(UnknownSegment):
        ask(parse({"any": [GERMAN, {"in_segment": "gone"}]}))


def test_each_floor_of_segments_is_read_once(django_assert_num_queries):
    save("a", GERMAN)
    save("b", {"any": [{"in_segment": "a"}, {"not": {"in_segment": "a"}}]})
    condition = parse({"all": [{"in_segment": "a"}, {"in_segment": "b"}]})

    with django_assert_num_queries(1):
        services.check_segments(condition)
