"""Random JSON, and random conditions as people write them."""

from typing import Any

from hypothesis import strategies as st

# No NUL and no lone surrogates: PostgreSQL's JSON can't hold them, so the inbox refuses them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
LIKE_NUMBERS = st.sampled_from(
    ["7", "7.0", "+7", "007", "-7", "7.", ".7", "7e2", "7\n", " 7", "٧", "1" * 31, "1_0", ""]
)
LIKE_DATES = st.one_of(
    st.dates().map(str),
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda instant: instant.isoformat()),
    st.sampled_from(
        [
            "2026-02-28", "2026-02-29", "2024-02-29", "2100-02-29", "2000-02-29", "2026-02-30",
            "2026-04-31", "2026-13-01", "2026-1-1", "0000-01-01", "2026-03-02T24:00",
            "2026-03-02T12:00Z", "2026-03-02T12:00", "2026-03-02 12:00:00.5+0200",
            "2026-03-02T12:00:00.1234567Z", "2026-03-02T12:00-15:00", "2026-03-02T12:00:60Z",
            "2026-03-02T12", "2026-03-02T12:00z", "20260302", "2026-W10-1", "infinity", "now",
            "2999-12-31T23:59:59.999999-14:59", "1000-01-01T00:00+14:59", "2026-03-02\n",
        ]
    ),
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-3, 9),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.1, -0.0, 7.0, 1e22, 1e308, 5e-324, 10**40, 2**53 + 1]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, LIKE_NUMBERS, LIKE_DATES)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)


JSON = st.recursive(SCALARS, _nested, max_leaves=6)
PATHS = st.lists(st.sampled_from(["a", "b", "0", "'; DROP --", "%s", "{}"]), min_size=1, max_size=3)

_PIECES = st.text("ab7.-é", min_size=1, max_size=2)
_OPERANDS = {
    "is": st.one_of(st.booleans(), st.integers(-3, 9), st.floats(-9, 9), TEXTS, LIKE_NUMBERS),
    "at_least": NUMBERS.filter(lambda number: abs(number) < 10**29),
    "contains": _PIECES | st.integers(-3, 9),
    "starts_with": _PIECES,
    "before": st.sampled_from(["2026-02-28", "2026-03-02", "2026-03-02T12:00Z", "1500-01-01"]),
    "is_set": st.booleans(),
}
_SAME = {
    "is_not": "is",
    "at_most": "at_least",
    "greater_than": "at_least",
    "less_than": "at_least",
    "ends_with": "starts_with",
    "after": "before",
}
_LISTS = st.lists(_OPERANDS["is"], min_size=1, max_size=4)
OPERANDS = {
    **_OPERANDS,
    **{operator: _OPERANDS[same] for operator, same in _SAME.items()},
    "in": _LISTS,
    "not_in": _LISTS,
}


def _demand(operator: str) -> st.SearchStrategy[dict[str, Any]]:
    return OPERANDS[operator].map(lambda operand: {operator: operand})


DEMANDS = st.sampled_from(sorted(OPERANDS)).flatmap(_demand)

# --- what may stand where a condition is expected -------------------------------------------------

_WORDS = st.sampled_from(
    [
        "all", "any", "not", "attribute", "did", "did_not", "consent", "in_segment", "where",
        "property", "within", "more_than_ago", "between", "exactly", "var", *sorted(OPERANDS),
    ]
)  # fmt: skip
_VALUES = st.one_of(
    JSON,
    st.text(max_size=5),
    st.dates(),
    st.datetimes(),
    st.sampled_from(
        [
            "30 days", "0 days", "999999 weeks", "since_enrollment", {"var": "entry_key"}, "a.b",
            "granted", "\x00", "\ud800", float("nan"), float("inf"), 10**400, b"bytes",
        ]
    ),
)  # fmt: skip


def _rubbish(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.integers(), inner, max_size=3)


RUBBISH = st.recursive(_VALUES, _rubbish, max_leaves=12)
