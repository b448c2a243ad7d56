from datetime import UTC, date, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apps.segments.conditions import ConditionError, describe, matches_event, parse
from tests.segments.strategies import RUBBISH


def nested(depth):
    condition = {"did": "A"}
    for _ in range(depth):
        condition = {"not": condition}
    return condition


COUNTRY = {"attribute": "country", "is": "DE"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("Order", "“Order” is not a condition; start it with one of all, any, not, attribute,"),
        (None, "“NoneType” is not a condition"),
        ({}, "“” is not a condition"),
        ({"dad": "A"}, "“dad” is not a condition"),
        ([COUNTRY], "is a list; write “all:” or “any:” before it."),
        ({"did": "A", "did_not": "B"}, "says did and did_not at once; make them parts of “all:”"),
        ({"all": []}, "all: must be a list of conditions, each starting with “- ”."),
        ({"any": COUNTRY}, "any: must be a list of conditions"),
        ({"all": [COUNTRY, {"did": ""}]}, "all[1].did: must be text."),
        ({"not": {"any": [{"did": 5}]}}, "not.any[0].did: must be text."),
        ({"did": "A", "at_leats": 3}, "at_leats: unknown; here may stand did, where, at_least,"),
        ({"did": "n" * 201}, "did: must have at most 200 characters."),
        ({"did": "A\x00"}, "did: has a character that no text can have."),
        ({"did": "A", "at_least": 0}, "at_least: must be a whole number from 1 to 10,000."),
        ({"did": "A", "at_least": True}, "at_least: must be a whole number"),
        ({"did": "A", "at_most": 2.5}, "at_most: must be a whole number from 0"),
        ({"did": "A", "at_least": 3, "at_most": 2}, "at_most: must not be less than at_least:."),
        ({"did": "A", "exactly": 3, "at_most": 2}, "exactly: can't stand beside at_least: or"),
        ({"did_not": "A", "at_most": 1}, "at_most: unknown; here may stand did_not, where, within"),
        ({"did": "A", "within": "soon"}, "within: 'soon' is not a duration; write for example"),
        ({"did": "A", "within": 30}, "within: must be text."),
        ({"did": "A", "within": "0 days"}, "within: must be more than nothing and at most 100"),
        ({"did": "A", "within": "9999 weeks"}, "within: must be more than nothing and at most"),
        (
            {"did": "A", "within": "7 days", "more_than_ago": "30 days"},
            "more_than_ago: must be shorter than within:; nothing lies between.",
        ),
        ({"did": "A", "between": "2026"}, "between: must be two dates such as [2026-01-01, 2026-"),
        ({"did": "A", "between": ["2026-02-30", 1]}, "between[0]: must be a date such as 2026-01"),
        ({"did": "A", "between": ["2026-02-02", "2026-02-01"]}, "between: must have the earlier"),
        ({"did": "A", "between": [1, 2], "within": "1 day"}, "between: can't stand beside within:"),
        (
            {"did": "A", "within": "since_enrollment"},
            "within: since_enrollment can't be used here",
        ),
        ({"did": "A", "where": {"property": "a"}}, "where: must be a list such as [{property:"),
        ({"did": "A", "where": ["a"]}, "where[0]: must be like {property: category, is: shoes}."),
        (
            {"did": "A", "where": [{"property": "a"}]},
            "where[0]: needs an operator: one of is, is_not,",
        ),
        ({"did": "A", "where": [{"property": "", "is": 1}]}, "where[0].property: must be text."),
        (
            {"did": "A", "where": [{"property": "a..b", "is": 1}]},
            "where[0].property: must be a name, or up to 10 names with a dot between: order.total.",
        ),
        (
            {"did": "A", "where": [{"property": "a", "at_least": 1, "at_most": 2}]},
            "where[0]: has several operators (at_least, at_most); write one property for each.",
        ),
        (
            {"did": "A", "where": [{"property": "a", "is": {"var": "entry_key"}}]},
            "where[0].is: {var: entry_key} can't be used here; only conditions about people in",
        ),
        ({"attribute": "plan", "is": [1]}, "is: is a list; use in: or not_in: for several values."),
        ({"attribute": "plan", "is": None}, "is: is empty; use “is_set: false” for what is not"),
        (
            {"attribute": "plan", "is": {"a": 1}},
            "is: must be one value, or {var: entry_key} inside",
        ),
        ({"attribute": "plan", "in": []}, "in: must be a list of 1 to 1,000 values such as [DE"),
        ({"attribute": "plan", "in": ["a", {}]}, "in[1]: must be one value, or"),
        (
            {"attribute": "plan", "at_least": "5"},
            "at_least: must be a number; for dates use before",
        ),
        ({"attribute": "plan", "less_than": 10**30}, "less_than: is too large a number to compare"),
        ({"attribute": "plan", "at_most": float("nan")}, "at_most: is too large a number"),
        ({"attribute": "plan", "contains": True}, "contains: must be text or a number."),
        ({"attribute": "plan", "starts_with": 5}, "starts_with: must be text; put digits into"),
        (
            {"attribute": "plan", "before": 5},
            "before: must be a date such as 2026-01-31, or a time",
        ),
        ({"attribute": "plan", "is_set": "yes"}, "is_set: must be true or false."),
        ({"attribute": "plan", "is": "x" * 501}, "is: must have at most 500 characters."),
        ({"attribute": "firstName", "is": "A"}, "attribute: “firstName” is called first_name here"),
        ({"attribute": "created_at", "is": "A"}, "is: created_at is a time; use before:, after:"),
        ({"attribute": "country", "is": False}, "is: country is text; put the value into quotes,"),
        ({"attribute": "country", "in": ["DE", False]}, "in: country is text; put the value into"),
        ({"consent": "email_marketing"}, "must say “is: granted” or “is: denied” (or is_not:)."),
        ({"consent": "a b", "is": "granted"}, "consent: “a b” must have only letters, digits, -"),
        ({"consent": "tracking", "is": "yes"}, "must say “is: granted”"),
        ({"in_segment": "a/b"}, "in_segment: “a/b” must have only letters, digits, - and _."),
        (nested(10), "is nested deeper than 10 levels."),
        ({"any": [COUNTRY] * 100}, "any[99]: a condition may have 100 parts at most."),
        (
            {"did": "A", "where": [{"property": "a", "is": 1}] * 100},
            "where: a condition may have 100 parts at most.",
        ),
    ],
)
def test_parse_names_the_place_and_the_fix(data, message):
    with pytest.raises(ConditionError) as problem:
        parse(data)

    assert str(problem.value).startswith(message) or f": {message}" in str(problem.value)


def test_parse_knows_no_other_variable():
    data = {"did": "A", "where": [{"property": "a", "is": {"var": "name"}}]}

    with pytest.raises(ConditionError, match=r"must be \{var: entry_key\}; there is no other"):
        parse(data, allow_enrollment=True)


@pytest.mark.parametrize("allow_enrollment", [True, False])
@given(data=RUBBISH)
def test_parse_takes_a_condition_or_refuses_it_by_name(data, allow_enrollment):
    try:
        condition = parse(data, allow_enrollment=allow_enrollment)
    except ConditionError:
        return

    assert describe(condition)
    assert hash(condition) == hash(parse(data, allow_enrollment=allow_enrollment))


@pytest.mark.parametrize(
    "data",
    [
        10**5000,
        {"did": 10**5000},
        {10**5000: 1, "did": "A"},
        {"did": "A", "within": 10**5000},
        {"attribute": "a", "is": 10**5000},
    ],
    ids=range(5),
)
def test_parse_refuses_numbers_that_python_does_not_even_print(data):
    with pytest.raises(ConditionError):
        parse(data)


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("{did: A, between: [2026-01-01, 2026-01-31]}", {"between": ["2026-01-01", "2026-01-31"]}),
        ("{did: A, at_most: 0}", {"at_most": 0}),
        ("{did_not: A}", {"exactly": 0}),
        ("{did: ' A '}", {}),
        (
            "{did: A, where: [{property: day, is: 2026-01-01}]}",
            {"where": [{"property": "day", "is": "2026-01-01"}]},
        ),
    ],
)
def test_parse_reads_what_means_the_same_alike(source, data):
    assert parse(yaml.safe_load(source)) == parse({"did": "A", **data})


def test_parse_takes_days_and_instants_from_yaml_in_utc():
    condition = parse({"attribute": "since", "after": date(2026, 1, 31)})
    other = parse({"attribute": "since", "after": datetime(2026, 1, 31, 12, tzinfo=UTC)})

    assert condition.test.operand.end == datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert other.test.operand.end == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "written", "stored"),
    [("country", "de", "DE"), ("email", "A@B.Example", "a@b.example")],
)
def test_parse_writes_columns_in_the_form_they_are_stored_in(name, written, stored):
    assert parse({"attribute": name, "is": written}) == parse({"attribute": name, "is": stored})
    assert parse({"attribute": name, "in": [written, 5]}) == parse(
        {"attribute": name, "in": [stored, 5]}
    )


# --- in words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"did": "Order Completed"}, "did Order Completed"),
        (
            {"did": "Order Completed", "within": "since_enrollment"},
            "did Order Completed since entering",
        ),
        (
            {"did_not": "Order Completed", "within": "30 days"},
            "did not Order Completed in the last 30 days",
        ),
        (
            {
                "did": "Product Viewed",
                "where": [
                    {"property": "category", "is": "shoes"},
                    {"property": "item.price", "at_least": 19.5},
                ],
                "at_least": 3,
                "within": "36 hours",
            },
            "did Product Viewed where category is “shoes” and item.price is at least 19.5"
            " at least 3 times in the last 36 hours",
        ),
        ({"did": "A", "exactly": 1, "more_than_ago": "90 seconds"},
         "did A exactly 1 time more than 90 seconds ago"),
        ({"did": "A", "at_most": 2, "within": "9 weeks", "more_than_ago": "1 day"},
         "did A at most 2 times in the last 63 days and more than 1 day ago"),
        ({"did": "A", "at_least": 2, "at_most": 4, "between": ["2026-01-01", "2026-01-31"]},
         "did A 2 to 4 times between 2026-01-01 and 2026-01-31"),
        ({"did": "A", "where": [{"property": "id", "is": {"var": "entry_key"}}]},
         "did A where id is what they entered with"),
        ({"attribute": "country", "in": ["DE", "FR"]}, "country is one of “DE”, “FR”"),
        ({"attribute": "plan.is_paid", "is_not": True}, "plan.is_paid is not true"),
        ({"attribute": "plan.is_paid", "is": False}, "plan.is_paid is false"),
        ({"attribute": "born", "before": "2008-01-01"}, "born is before 2008-01-01"),
        ({"attribute": "phone", "is_set": False}, "phone is not known"),
        ({"attribute": "phone", "is_set": True}, "phone is known"),
        ({"attribute": "points", "greater_than": 1e22},
         "points is greater than 10000000000000000000000"),
        ({"consent": "email_marketing", "is": "granted"},
         "consent to email_marketing is granted"),
        ({"consent": "tracking", "is_not": "denied"}, "consent to tracking is not denied"),
        ({"not": {"in_segment": "vip"}}, "not is in segment vip"),
        ({"any": [{"all": [{"did": "A"}, {"did": "B"}]}, {"not": {"any": [COUNTRY]}}]},
         "(did A and did B) or not (country is “DE”)"),
    ],
)  # fmt: skip
def test_describe_says_it_in_words(data, sentence):
    assert describe(parse(data, allow_enrollment=True)) == sentence


# --- one event ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demand", "value", "answer"),
    [
        ({"is": "shoes"}, "shoes", True),
        ({"is": "shoes"}, "Shoes", False),
        ({"is": "shoes"}, ["shoes"], False),
        ({"is": 7}, 7.0, True),
        ({"is": 7}, "7.0", True),
        ({"is": 7}, True, False),
        ({"is": "7"}, 7, True),
        ({"is": "7"}, "7.0", False),
        ({"is": True}, True, True),
        ({"is": True}, "true", False),
        ({"is": True}, 1, False),
        ({"is": ""}, "", True),
        ({"is_not": "shoes"}, "hats", True),
        ({"is_not": "shoes"}, None, True),
        ({"in": ["a", 7]}, "7", True),
        ({"in": ["a", 7]}, "b", False),
        ({"not_in": ["a", 7]}, None, True),
        ({"not_in": ["a", 7]}, 7, False),
        ({"contains": "hoe"}, "shoes", True),
        ({"contains": "shoes"}, ["hats", "shoes"], True),
        ({"contains": "hoe"}, ["shoes"], False),
        ({"contains": 7}, [1, "7"], True),
        ({"contains": 7}, "a7b", True),
        ({"contains": 7}, 77, False),
        ({"starts_with": "sh"}, "shoes", True),
        ({"ends_with": "es"}, "shoes", True),
        ({"ends_with": "es"}, 7, False),
        ({"at_least": 20}, 20, True),
        ({"at_least": 20}, "20.00", True),
        ({"at_least": 20}, "20 EUR", False),
        ({"at_least": 20}, None, False),
        ({"at_most": 20}, 20.01, False),
        ({"greater_than": 0.1}, 0.1, False),
        ({"less_than": 0.3}, 0.1, True),
        ({"before": "2026-03-02"}, "2026-03-01T23:59:59Z", True),
        ({"before": "2026-03-02"}, "2026-03-02", False),
        ({"after": "2026-03-02"}, "2026-03-02T23:59:59Z", False),
        ({"after": "2026-03-02"}, "2026-03-03", True),
        ({"after": "2026-03-02T12:00Z"}, "2026-03-02T13:30+02:00", False),
        ({"after": "2026-03-02T12:00Z"}, "2026-03-02T14:30+02:00", True),
        ({"after": "2026-03-02"}, "2026-02-30", False),
        ({"after": "2026-03-02"}, 1_800_000_000, False),
        ({"is_set": True}, 0, True),
        ({"is_set": True}, False, True),
        ({"is_set": True}, "", False),
        ({"is_set": False}, None, True),
    ],
)
def test_matches_event_judges_one_property(demand, value, answer):
    did = parse({"did": "A", "where": [{"property": "a.b", **demand}]})

    assert matches_event(did, {"a": {"b": value}}) is answer


@pytest.mark.parametrize("properties", [{}, {"a": None}, {"a": [1]}, {"a": {"b": None}}])
def test_a_path_that_breaks_off_leads_to_nothing(properties):
    did = parse({"did": "A", "where": [{"property": "a.b", "is_set": False}]})

    assert matches_event(did, properties)


def test_matches_event_wants_every_demand_met_by_the_same_event():
    did = parse({"did": "A", "where": [{"property": "a", "is": 1}, {"property": "b", "is": 2}]})

    assert matches_event(did, {"a": 1, "b": 2})
    assert not matches_event(did, {"a": 1})


@pytest.mark.parametrize(
    ("value", "entry_key", "answer"),
    [("c1", "c1", True), (7, "7", True), ("c1", "c2", False), ("", "", False), (None, "", False)],
)
def test_matches_event_knows_the_entry_key_that_it_is_given(value, entry_key, answer):
    where = [{"property": "cart_id", "is": {"var": "entry_key"}}]
    did = parse({"did": "A", "where": where}, allow_enrollment=True)

    assert matches_event(did, {"cart_id": value}, entry_key=entry_key) is answer


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_what_is_no_number_compares_with_nothing(value):
    did = parse({"did": "A", "where": [{"property": "a", "at_least": -(10**29)}]})

    assert matches_event(did, {"a": value}) is (value >= -1e29 and value != float("inf"))
