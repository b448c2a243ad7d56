import pytest

from apps.contacts import traits


@pytest.mark.parametrize(
    ("told", "columns"),
    [
        (
            {"firstName": " Ada ", "lastName": "Lovelace"},
            {"first_name": "Ada", "last_name": "Lovelace"},
        ),
        ({"first_name": "Ada", "last_name": "L"}, {"first_name": "Ada", "last_name": "L"}),
        ({"name": "Ada King Lovelace"}, {"first_name": "Ada", "last_name": "King Lovelace"}),
        ({"name": "Ada"}, {"first_name": "Ada"}),
        ({"name": "Countess", "firstName": "Ada"}, {"first_name": "Ada"}),
        ({"phone": 4930123}, {"phone": "4930123"}),
        (
            {"timezone": "Europe/Berlin", "locale": "de-DE"},
            {"time_zone": "Europe/Berlin", "locale": "de-DE"},
        ),
        ({"country": "de"}, {"country": "DE"}),
        ({"firstName": None, "country": None, "name": None}, {}),
        ({"firstName": "  "}, {}),
    ],
)
def test_known_traits_become_columns(told, columns):
    reading = traits.read(told)

    assert (reading.columns, reading.attributes, reading.dropped) == (columns, {}, [])


def test_country_is_found_in_the_address():
    reading = traits.read({"address": {"country": "FR", "city": "Paris"}})

    assert reading.columns == {"country": "FR"}
    assert reading.attributes == {"address": {"country": "FR", "city": "Paris"}}


def test_everything_else_is_an_attribute():
    told = {"plan": "gold", "age": 7, "tags": ["a"], "email": "x@example.com", "nothing": None}

    assert traits.read(told).attributes == {"plan": "gold", "age": 7, "tags": ["a"]}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"firstName": 7}, "firstName: not text"),
        ({"firstName": "x" * 151}, "firstName: longer than 150 characters"),
        ({"country": "Germany"}, "country: not a two-letter country"),
        ({"country": ["DE"]}, "country: not text"),
        ({"phone": True}, "phone: not text"),
        ({"name": {"first": "Ada"}}, "name: not text"),
        ({"x" * 101: 1}, "xxxxxxxxxxxxxxxxxxxx…: the name is too long"),
    ],
)
def test_bad_values_are_dropped_with_the_reason(told, reason):
    reading = traits.read(told)

    assert (reading.columns, reading.attributes, reading.dropped) == ({}, {}, [reason])


def test_attributes_stop_growing_at_the_limit():
    held = {f"a{number}": 1 for number in range(traits.MAX_ATTRIBUTES)}
    reading = traits.read({"a0": 2, "new": 1})

    merged = traits.merge(held, reading)

    assert merged == {**held, "a0": 2}
    assert reading.dropped == ["new: too many attributes"]
