"""A slice of the fuzz: no line is forwarded unpoliced, changed on its way, or brings a crash.

The whole of it: `python -m tests.bench.gateway_fuzz`.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pktui.gateway.enforcement.decision import ToolCall
from pktui.ledger.records import Caller
from tests.support.fuzzed import Broken, Watched, check_delivered, check_forwarded, enforcing
from tests.support.fuzzed import one_session as fuzz

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fine","arguments":{}}}'


@pytest.fixture
def enforcer(paths: Paths) -> Iterator[Watched]:
    with enforcing(paths) as enforcer:
        yield enforcer


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.randoms(use_true_random=False))
def test_small_sessions_of_any_lines(enforcer: Watched, random: Random) -> None:
    fuzz(enforcer, random, 8)


@pytest.mark.parametrize("seed", range(3))
def test_long_sessions_of_any_lines(enforcer: Watched, seed: int) -> None:
    counts = fuzz(enforcer, Random(seed), 1000)
    assert counts["calls"] > 20
    assert counts["forwarded"] > counts["calls"]


@pytest.mark.parametrize(
    "line",
    [
        CALL.replace(b'"method"', b'"Method"'),
        CALL.replace(b'"id"', b'"method":"ping","id"'),
        b"[" + CALL + b"]",
        CALL + CALL,
        b"\xef\xbb\xbf" + CALL,
        CALL.replace(b"tools/call", b"tools\\/call"),
        CALL.replace(b"tools/call", b"t\\u006fols/call"),
        b'{"jsonrpc":"2.0","method":"ping","id":7}\r' + CALL,
        b'{"jsonrpc":"2.0","method":"ping","id":7}\x00' + CALL,
        b"{jsonrpc:'2.0',id:1,method:'tools/call',params:{name:'fine'}}",
        CALL.decode().encode("utf-16"),
    ],
)
def test_the_readers_see_a_call_in_every_disguise(line: bytes) -> None:
    with pytest.raises(Broken, match="a reader may see"):
        check_forwarded(line, [line], [])


def test_the_check_knows_another_call_from_the_one_decided() -> None:
    decided = ToolCall("id", "fine", {}, Caller())
    check_forwarded(CALL, [CALL], [decided])
    for line in (CALL.replace(b"fine", b"danger"), CALL.replace(b"{}}", b'{"a":1}}')):
        with pytest.raises(Broken):
            check_forwarded(line, [line], [decided])
    with pytest.raises(Broken, match="changed on its way"):
        check_forwarded(CALL, [CALL + b" "], [decided])
    with pytest.raises(Broken, match="is asked for"):
        check_delivered(b"", b'{"id":1,"METHOD":"sampling/createMessage"}')
