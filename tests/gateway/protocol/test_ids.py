"""Whoever waits for a message that is not read is found by its id, and nobody else is."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.gateway.protocol.ids import Ids, IdScan, ids_in

NAMES = st.sampled_from(["id", "method", "result", 'i"d', "\\id", "{", "é"]) | st.text(max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just('"id":3,{]'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


def in_pieces(message: bytes, random: Random) -> Ids:
    scan, at = IdScan(), 0
    while at < len(message):
        size = random.randrange(1, 9)
        scan.feed(message[at : at + size])
        at += size
    return scan.found


@settings(max_examples=400, derandomize=True, deadline=None)
@given(
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.sampled_from([None, 1]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_what_is_found_is_the_member_of_the_outermost_object(
    message: dict[str, Any], indent: int | None, ascii_only: bool, random: Random
) -> None:
    line = json.dumps(message, indent=indent, ensure_ascii=ascii_only).encode()
    found = ids_in(line)
    named = message.get("id")
    usable = isinstance(named, str | int) and not isinstance(named, bool)
    assert found.members == ("id" in message)
    assert [json.loads(one) for one in found.written] == ([named] if usable else [])
    assert found.answers == ("result" in message and "method" not in message)
    assert in_pieces(line, random) == found


@pytest.mark.parametrize(
    ("message", "written", "members"),
    [
        (b'{"id":1,"id":2}', (b"1", b"2"), 2),
        (b'{"id":1,"id":1}', (b"1",), 2),
        (b'{"\\u0069d":"a"}', (b'"a"',), 1),
        (b'\xef\xbb\xbf {"id" : 5 ,"b":[]}', (b"5",), 1),
        (b'[{"id":1},{"id":"x"},[{"id":3}]]', (b"1", b'"x"'), 2),
        (b'{"id":"\\ud800"}', (), 1),
        (b'{"id":01}', (), 1),
        (b'{"id":1e400}', (), 1),
        (b'{"id":}', (), 1),
        (b'{"id":"' + b"x" * 5000 + b'"}', (), 1),
        (b'{"id":7,"a":NaN,,}', (b"7",), 1),
        (b'{"id":7', (), 0),
        (b'log {"id":1}', (), 0),
        (b"", (), 0),
    ],
)
def test_an_id_is_usable_only_where_it_is_one(
    message: bytes, written: tuple[bytes, ...], members: int
) -> None:
    found = ids_in(message)
    assert (found.written, found.members) == (written, members)


def test_a_hostile_message_is_given_up_before_it_keeps_anyone() -> None:
    found = ids_in(b'{"a":[' + b'"",[{},' * 400_000 + b'1],"id":7}')
    assert found.written == ()


def test_several_ids_are_no_single_one() -> None:
    assert ids_in(b'{"id":1}').single == b"1"
    assert ids_in(b'{"id":1,"id":1}').single == b"null"
    assert ids_in(b'{"id":[1]}').single == b"null"
