from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.policy.text.json import line_column, scan
from pktui.policy.text.jsontext import MAX_DEPTH, decode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_both_readers_agree_with_the_standard_library(
    value: object, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    root, slips = scan(text)
    assert not slips
    assert root is not None
    assert root.plain() == decode(text) == value


@pytest.mark.parametrize(
    ("text", "offset", "says"),
    [
        ('{"a":1,"a":2}', 7, "twice"),
        ('{"a":{"b":1,\n"b":2}}', 13, "twice"),
        ("[1,2,]", 4, "comma before"),
        ("[1 2]", 3, "comma"),
        ('{"a":NaN}', 5, "no JSON value"),
        ('{"a":Infinity}', 5, "no JSON value"),
        ('{"a":1e999}', 5, "out of range"),
        ('{"a":01}', 5, "no JSON value"),
        ("{a:1}", 1, "key is missing"),
        ('{"a" 1}', 5, "colon"),
        ('"abc', 0, "never closed"),
        ('"a\tb"', 0, "control character"),
        ('"\\x41"', 1, "escape"),
        ('"\\ud800"', 0, "surrogate"),
        ("{} {}", 3, "after the end"),
        ("", 0, "too early"),
        ("[", 1, "too early"),
        ("{'a': 1}", 1, "key is missing"),
        ("// note\n{}", 0, "no JSON value"),
    ],
)
def test_doubtful_text_is_refused_at_its_place(text: str, offset: int, says: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the sentence comes from the scanner
        decode(text)
    _, slips = scan(text)
    assert [slip.offset for slip in slips] == [offset]
    assert says in slips[0].what
    assert slips[0].cure


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 600, 900, 100_000])
def test_nesting_is_bounded_alike_in_both_readers(depth: int) -> None:
    text = "[" * depth + "]" * depth
    _, slips = scan(text)
    if depth <= MAX_DEPTH:
        assert not slips
        assert decode(text) is not None
    else:
        assert "levels deep" in slips[0].what
        with pytest.raises(ValueError, match="deep"):
            decode(text)


def test_numbers_stay_exact() -> None:
    assert decode("[9007199254740993, 0.1, 1e2]") == [9007199254740993, Decimal("0.1"), 100]


def test_every_duplicate_is_told() -> None:
    _, slips = scan('{"a":1,"a":2,"b":{"c":1,"c":1}}')
    assert [slip.offset for slip in slips] == [7, 24]


def test_positions_count_characters_from_one() -> None:
    assert line_column("ä\nöx", 3) == (2, 2)
