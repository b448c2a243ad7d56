"""Declared fields: what fits each type, and that events keep to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.contacts import fields, services, traits
from apps.contacts.directory import Claim, Mode
from apps.contacts.fields import Misfit
from apps.contacts.models import Contact, ContactField
from apps.segments.operators import read_instant, read_number
from tests.factories.contacts import ContactFieldFactory
from tests.instants import NOON

TEAS = ["Oolong", "Sencha"]


def declare(kind: str, choices: list[str] | None = None) -> ContactField:
    return ContactField(key="told", label="Told", kind=kind, choices=choices or [])


@pytest.mark.parametrize(
    ("kind", "choices", "told", "stored"),
    [
        ("text", [], " green ", "green"),
        ("text", [], 1234, "1234"),
        ("number", [], "12", 12),
        ("number", [], " -3.50 ", -3.5),
        ("number", [], 7.25, 7.25),
        ("boolean", [], "Yes", True),
        ("boolean", [], "0", False),
        ("boolean", [], 1, True),
        ("boolean", [], False, False),
        ("date", [], "2026-01-31", "2026-01-31"),
        ("date", [], "2026-01-31T23:30:00-08:00", "2026-01-31"),
        ("datetime", [], "2026-01-31T18:00+01:00", "2026-01-31T17:00:00+00:00"),
        ("datetime", [], "2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("choice", TEAS, "oolong", "Oolong"),
        ("list", TEAS, "sencha; OOLONG;", ["Sencha", "Oolong"]),
        ("list", TEAS, ["Oolong", "Oolong"], ["Oolong"]),
        ("list", [], "a\nb", ["a", "b"]),
        ("list", [], '["a; b", "c"]', ["a; b", "c"]),
        ("list", [], 5, ["5"]),
        ("url", [], "https://shop.example/tea?a=1", "https://shop.example/tea?a=1"),
        ("number", [], "  ", None),
        ("date", [], None, None),
    ],
)
def test_what_is_told_becomes_the_type(kind, choices, told, stored):
    found = fields.fit(declare(kind, choices), told)

    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("kind", "told", "why"),
    [
        ("text", True, "not text"),
        ("text", {"a": 1}, "not text"),
        ("text", "x" * 10_001, "longer than 10,000 characters"),
        ("number", "1,5", "not a number such as 12 or 3.5"),
        ("number", True, "not a number such as 12 or 3.5"),
        ("number", float("nan"), "not a number that can be compared"),
        ("number", 10**30, "not a number that can be compared"),
        ("boolean", "maybe", "neither yes nor no"),
        ("boolean", 2, "neither yes nor no"),
        ("boolean", [], "neither yes nor no"),
        ("date", "31.01.2026", "not a date such as 2026-01-31"),
        ("date", "0001-01-01", "not a year that can be compared"),
        ("datetime", "soon", "not a time such as 2026-01-31T18:00Z"),
        ("choice", "Coffee", "none of Oolong, Sencha"),
        ("choice", ["Oolong"], "not text"),
        ("list", ["Coffee"], "none of Oolong, Sencha"),
        ("list", "Oolong;" * 101, "more than 100 values"),
        ("list", ["x" * 201], "longer than 200 characters"),
        ("list", {"a": 1}, "not text"),
        ("url", "javascript:alert(1)", "not a web address such as https://shop.example/tea"),
        ("url", "https://shop.example/a b", "not a web address: it has spaces"),
        ("url", "http://[", "not a web address such as https://shop.example/tea"),
    ],
)
def test_what_does_not_fit_says_why(kind, told, why):
    with pytest.raises(Misfit) as problem:
        fields.fit(declare(kind, TEAS if kind in ("choice", "list") else []), told)

    assert str(problem.value) == why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(kind=st.sampled_from(list(ContactField.Kind)), told=JSON)
def test_whatever_is_told_fits_or_is_a_misfit_and_what_fits_is_read_back(kind, told):
    field = declare(kind, TEAS if kind == "choice" else [])
    try:
        stored = fields.fit(field, told)
    except Misfit:
        return

    assert fields.fit(field, stored) == stored
    if not (kind == "list" and stored == []):
        assert fields.fit(field, fields.write(field, stored)) == stored


@pytest.mark.parametrize("kind", ["date", "datetime"])
def test_conditions_can_compare_dates_and_times(kind):
    assert read_instant(fields.fit(declare(kind), "2026-01-31T18:00+01:00")) is not None


def test_conditions_can_compare_numbers():
    assert read_number(fields.fit(declare("number"), "3.5")) == read_number(3.5)


def test_traits_keep_to_what_is_declared():
    declared = {"age": ContactField(key="age", label="Age", kind="number")}

    reading = traits.read({"age": "41", "plan": "gold"}, declared)
    bad = traits.read({"age": "old", "plan": "gold"}, declared)

    assert reading.attributes == {"age": 41, "plan": "gold"}
    assert bad.attributes == {"plan": "gold"}
    assert bad.dropped == ["age: not a number such as 12 or 3.5"]


def test_events_store_the_type_and_note_what_does_not_fit(db):
    ContactFieldFactory(key="age", kind="number")
    told = [{"age": "41"}, {"age": "old"}]
    claims = [Claim(Mode.IDENTIFY, True, email="ada@example.com", traits=one) for one in told]

    first, second = services.resolve(claims=claims, now=NOON)

    assert Contact.objects.get().attributes == {"age": 41}
    assert first.notes == []
    assert second.notes == ["dropped age: not a number such as 12 or 3.5"]


def test_fields_are_looked_up_once_in_a_while(db, django_assert_num_queries, monkeypatch):
    ContactFieldFactory(key="age")
    with django_assert_num_queries(1):
        first = [list(fields.declared()) for _ in range(3)]

    monkeypatch.setattr("time.monotonic", lambda: 10.0**9)
    ContactFieldFactory(key="tea")

    assert first == [["age"]] * 3
    assert list(fields.declared()) == ["age", "tea"]
