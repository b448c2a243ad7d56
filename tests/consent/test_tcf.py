"""Consent strings of the IAB, read bit by bit."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.consent import tcf

# The example of the IAB's own specification, once with its core alone and once in full.
CORE = "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA"
FULL = (
    f"{CORE}.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQA"
    "RAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw"
)
WRITTEN_AT = datetime(2020, 2, 20, 23, 57, 39, 300_000, tzinfo=UTC)


@pytest.mark.parametrize("text", [CORE, FULL, f" {CORE}\n"])
def test_decode_reads_the_example_of_the_specification(text):
    found = tcf.decode(text)

    assert found == tcf.TcString(
        created_at=WRITTEN_AT,
        updated_at=WRITTEN_AT,
        cmp_id=27,
        cmp_version=0,
        consent_screen=0,
        language="EN",
        vendor_list_version=15,
        policy_version=2,
        is_service_specific=False,
        special_features=frozenset(),
        purpose_consents=frozenset({1, 2, 3}),
        purpose_legitimate_interests=frozenset(),
        is_purpose_one_treated=False,
        publisher_country="AA",
        vendor_consents=frozenset({2, 6, 8}),
        vendor_legitimate_interests=frozenset({2, 6, 8}),
    )


def in_bits(*fields: tuple[int, int]) -> str:
    """Fields of a value and a width, written as a consent string."""
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    data = int(padded, 2).to_bytes(len(padded) // 8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def up_to_vendors(*vendors: tuple[int, int]) -> str:
    """A string that is whole, with the fields of its vendors as given."""
    head = [(2, 6), (0, 36), (0, 36), (0, 12), (0, 12), (0, 6), (3, 6), (4, 6), (0, 12), (4, 6)]
    rest = [(1, 1), (0, 1), (0, 12), (1 << 23 | 1, 24), (1 << 20, 24), (1, 1), (0, 6), (25, 6)]
    return in_bits(*head, *rest, *vendors)


def test_decode_reads_ranges_and_the_outermost_purposes():
    ranges = [(900, 16), (1, 1), (2, 12), (1, 1), (10, 16), (12, 16), (0, 1), (900, 16)]
    found = tcf.decode(up_to_vendors(*ranges, (0, 16), (0, 1)))

    assert found.vendor_consents == {10, 11, 12, 900}
    assert found.vendor_legitimate_interests == set()
    assert found.purpose_consents == {1, 24}
    assert found.purpose_legitimate_interests == {4}
    assert (found.language, found.publisher_country) == ("DE", "AZ")
    assert (found.is_service_specific, found.is_purpose_one_treated) == (True, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no consent string"),
        ("CO vF", "no consent string"),
        ("C", "no consent string"),
        ("C" * 30_000, "no consent string"),
        ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "Version 1"),
        (CORE[:20], "ends too early"),
        (up_to_vendors((9, 16), (1, 1), (1, 12), (1, 1), (8, 16), (7, 16)), "out of order"),
        (up_to_vendors((9, 16), (1, 1), (1, 12), (0, 1), (10, 16)), "out of order"),
    ],
)
def test_decode_refuses_what_is_no_consent_string(text, problem):
    with pytest.raises(tcf.BadTcString, match=problem):
        tcf.decode(text)


@given(st.text(alphabet="ABCDOPabcz019-_.=", max_size=90))
def test_decode_answers_or_refuses_any_text(text):
    try:
        found = tcf.decode(f"C{text}")
    except tcf.BadTcString:
        return

    assert found.created_at.year >= 1970
