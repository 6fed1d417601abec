"""Canonical JSON, against the examples of RFC 8785 and the reader of every interpreter."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.ledger.arguments.canonical import _write, args_hash, canonical_json, json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip

NUMBERS = [
    # RFC 8785, appendix B
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_floats_are_written_as_ecmascript_writes_them(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(number).decode() == text


def test_the_example_of_the_standard_is_met() -> None:
    """RFC 8785, 3.2.2 and 3.2.3."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert canonical_json(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_members_are_sorted_by_utf_16_code_units() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    text = canonical_json(dict.fromkeys(keys, 0)).decode()
    assert list(json.loads(text)) == [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


def test_large_integers_are_exact_so_that_their_hashes_differ() -> None:
    assert canonical_json(2**53 + 1) == b"9007199254740993"
    assert args_hash({"id": 2**70}) != args_hash({"id": 2**70 + 1})


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d!"])
def test_lone_surrogates_have_a_form(text: str) -> None:
    assert json.loads(canonical_json({text: text})) == {text: text}
    assert json.loads(json_text({text: text})) == {text: text}
    assert args_hash(text) != args_hash("?")


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {"a": object()}, b"bytes", {"s"}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|name"):
        canonical_json(value)


def test_endless_nesting_is_refused_not_a_crash() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deep"):
        canonical_json(value)
    with pytest.raises(ValueError, match="nested too deep"):
        json_text(value)
    while value and isinstance(value[0], list):
        value = value[0]


def test_the_hash_is_of_the_canonical_text() -> None:
    assert args_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert args_hash({"b": 1, "a": 2.0}) == args_hash({"a": 2, "b": 1})


@settings(derandomize=True, max_examples=100, deadline=None)
@given(VALUES)
def test_canonical_text_reads_back_to_the_same_canonical_text(value: object) -> None:
    assert json.loads(json_text(value)) == value
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(VALUES)
def test_the_short_way_gives_what_the_long_way_gives(value: object) -> None:
    assert canonical_json(value).decode() == _write(value, ordered=True)


def test_every_character_is_written_the_same_by_either_way() -> None:
    text = "".join(map(chr, [*range(0x300), 0x2028, 0x2029, 0xFEFF, 0x1F600]))
    assert canonical_json({"text": text}).decode() == _write({"text": text}, ordered=True)
