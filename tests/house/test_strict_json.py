"""JSON that every reader reads alike; the rest is refused."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.strict_json import Doubt, Reader, TooDeep, decoder, depth_of

READER = Reader(depth=4)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a":1,"a":1}', "name twice"),
        ('[{"b":{"a":1,"\\u0061":2}}]', "name twice"),
        ("[NaN]", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e400", "out of range"),
        ("-1e400", "out of range"),
        ('"\\ud83d"', "half a surrogate pair"),
        ('{"\\uDE00\\ud83d":1}', "half a surrogate pair"),
        ("[[[[[]]]]]", "too deep"),
        ('{"a":' + "[" * 200_000, "too deep"),
    ],
)
def test_what_readers_disagree_about_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Doubt, match=why):
        READER.read(text)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "{'a':1}", "01", '"\n"', "[1] 2", "\ufeff1"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        READER.read(text)
    assert not isinstance(caught.value, TooDeep)


@pytest.mark.parametrize(
    "text", ['"\\ud83d\\ude00"', '"\\\\ud83d"', "[[[[]]]]", '"[[[[[["', '{"a":{"a":1}}', "1e308"]
)
def test_what_only_looks_doubtful_is_read(text: str) -> None:
    assert READER.read(text) == json.loads(text)


def test_half_a_pair_is_let_through_where_that_is_asked_for() -> None:
    assert Reader(depth=1, halves=True).read('["\\ud83d"]') == ["\ud83d"]


def test_numbers_are_what_the_caller_makes_of_them() -> None:
    assert Reader(depth=1, parse_float=Decimal).read("[1.10]") == [Decimal("1.10")]
    as_written = decoder(parse_int=str, parse_float=str, parse_constant=str)
    assert as_written.decode("[1, 1e400, NaN]") == ["1", "1e400", "NaN"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
def test_every_value_is_read_as_it_was_written_or_is_too_deep(value: object) -> None:
    try:
        assert READER.read(json.dumps(value)) == value
    except TooDeep:
        assert depth_of(value) > 4
