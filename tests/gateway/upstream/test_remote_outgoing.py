"""Client lines on their way to a URL: read as the relay read them, with headers that are safe."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.jsonrpc import Limits, Refused
from pktui.gateway.upstream.http_client import Pool
from pktui.gateway.upstream.remote_errors import Words
from pktui.gateway.upstream.remote_outgoing import Session, ToolMarks, read_outgoing
from pktui.gateway.upstream.remote_request import RemoteContext
from tests.gateway.upstream.far import LIMIT, MODERN

VERSION = next(iter(MODERN))
KEYS = st.sampled_from(["name", "uri", "_meta", "arguments", "requestId", VERSION, "other"])
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
METHODS = ["tools/call", "initialize", "notifications/cancelled", "resources/read", "tools/list"]
PARAMS = VALUES | st.fixed_dictionaries(
    {"name": st.text(max_size=9), "_meta": st.fixed_dictionaries({VERSION: st.text(max_size=9)})}
)
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": VALUES,
        "method": st.sampled_from(METHODS) | st.text(max_size=9),
        "params": PARAMS,
        "result": VALUES,
    },
)


async def room() -> None:
    """There is room."""


def far() -> RemoteContext:
    from pktui.gateway.servers.url import parse_endpoint

    endpoint = parse_endpoint("http://h/", "s")
    shared = (Pool(endpoint, {}), Words("s", endpoint), Session(), ToolMarks(), LIMIT)
    return RemoteContext(*shared, lambda _line: None, room)


@settings(max_examples=300, deadline=None)
@given(MESSAGES, st.booleans())
def test_whatever_the_relay_lets_through_is_read_alike(message: Any, plain: bool) -> None:
    try:
        line = json.dumps(message, ensure_ascii=plain).encode()
        judged = jsonrpc.parse(line, Limits())
    except (Refused, UnicodeEncodeError):
        return
    outgoing = read_outgoing(line)
    assert (outgoing.kind, outgoing.method) == (judged.kind, judged.method)
    assert outgoing.id_text == judged.id_text
    assert bool(outgoing.version) == (judged.modern and judged.meta[VERSION] != "")
    for value in far().headers(outgoing).values():
        assert value.isascii()
        assert value.isprintable()


def test_a_session_takes_only_ids_that_a_header_can_carry() -> None:
    session = Session()
    session.open("ok-1", "2025-11-25")
    assert session.headers == {"Mcp-Session-Id": "ok-1", "MCP-Protocol-Version": "2025-11-25"}
    for odd in ("", "a b", "a\r\nX: y", "é", "x" * 2000):
        session.open(odd, odd)
        assert session.headers == {}


def test_only_text_and_numbers_take_a_request_back() -> None:
    def cancels(request_id: object) -> object:
        message = {"method": "notifications/cancelled", "params": {"requestId": request_id}}
        return read_outgoing(json.dumps({"jsonrpc": "2.0", **message}).encode()).cancels

    none: list[object] = [True, None, [1], {}]
    assert [cancels(one) for one in ("a", 7, 7.5)] == ["a", 7, 7.5]
    assert [cancels(one) for one in none] == [None] * 4
