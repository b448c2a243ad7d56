"""Rules for properties: quickly for the common ones, alike for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.events import validation
from apps.events.ecommerce import BUILT_IN
from apps.events.validation import BadSchema, Fault, compile_schema

LINE = {"type": "object", "properties": {"n": {"type": "integer"}}}
ONE = "text of 1 characters"
PRODUCTS = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": ["string", "integer"]},
        "price": {"type": "number", "minimum": 0, "maximum": 100},
        "kind": {"enum": ["new", "used"]},
        "lines": {"type": "array", "items": LINE},
        "is_new": {"type": "boolean"},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("properties", "faults"),
    [
        ({"id": 1}, []),
        ({"id": "a", "price": 0, "kind": "new", "lines": [{"n": 2.0}], "is_new": False}, []),
        ({"id": None}, [Fault("id", "missing")]),
        ({}, [Fault("id", "missing")]),
        ({"id": 1.5}, [Fault("id", "wrong_type", "a number")]),
        ({"id": True}, [Fault("id", "wrong_type", "yes or no")]),
        ({"id": 1, "price": "5"}, [Fault("price", "wrong_type", "text of 1 characters")]),
        ({"id": 1, "price": True}, [Fault("price", "wrong_type", "yes or no")]),
        ({"id": 1, "price": -1}, [Fault("price", "out_of_range", "a number")]),
        ({"id": 1, "price": 101}, [Fault("price", "out_of_range", "a number")]),
        ({"id": 1, "kind": "stolen"}, [Fault("kind", "not_allowed", "text of 6 characters")]),
        ({"id": 1, "lines": {}}, [Fault("lines", "wrong_type", "an object")]),
        ({"id": 1, "lines": [{"n": "x"}]}, [Fault("lines[].n", "wrong_type", ONE)]),
        ({"id": 1, "lines": ["x"]}, [Fault("lines[]", "wrong_type", "text of 1 characters")]),
        ({"id": 1, "price": None, "other": object}, []),
    ],
)  # fmt: skip
def test_the_common_rules(properties, faults):
    assert compile_schema(PRODUCTS)(properties) == faults


def test_faults_are_bounded():
    lines = [{"n": "x"}] * 500

    assert len(compile_schema(PRODUCTS)({"id": 1, "lines": lines})) == validation.MAX_FAULTS


@pytest.mark.parametrize("one", BUILT_IN, ids=lambda one: one.name)
def test_the_built_in_rules_are_valid_and_quick(one):
    validation.check_schema(one.schema)

    assert validation._is_light(one.schema)


@pytest.mark.parametrize(
    "schema",
    [
        [],
        {"type": "nothing"},
        {"properties": {"a": {"pattern": "(a+)+$"}}},
        {"$ref": "https://example.com/schema"},
        {"propertyNames": {"maxLength": 3}},
        {"patternProperties": {".*": {}}},
        {"required": "a"},
    ],
)
def test_rules_that_are_no_schema_or_cost_too_much_are_refused(schema):
    with pytest.raises(BadSchema):
        validation.check_schema(schema)


def test_a_property_may_be_called_like_a_keyword():
    validation.check_schema({"properties": {"pattern": {"type": "string"}}})


def test_the_library_names_only_what_the_rules_name():
    find = compile_schema(
        {"additionalProperties": {"type": "number"}, "properties": {"a": {"minLength": 2}}}
    )

    assert find({"a": "x", "ada@example.com": "y", "b": None}) == [
        Fault("*", "wrong_type", ONE),
        Fault("a", "wrong_length", ONE),
    ]


VALUES = st.one_of(
    st.text(max_size=3), st.integers(), st.booleans(), st.floats(allow_nan=False),
    st.lists(st.dictionaries(st.sampled_from(["n", "m"]), st.integers() | st.text()), max_size=3),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["id", "price", "kind", "lines", "is_new"]), VALUES))
def test_the_quick_way_and_the_library_agree_whether_it_fits(properties):
    from jsonschema import Draft202012Validator

    quick = compile_schema(PRODUCTS)(properties)

    assert bool(quick) is not Draft202012Validator(PRODUCTS).is_valid(properties)
