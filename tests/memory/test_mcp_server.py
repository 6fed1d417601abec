"""The memory's MCP server answers as the MCP library's would, in both protocol eras."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pktui.memory import mcp_server
from pktui.memory.mcp_server import Answer, ToolCall, respond
from pktui.memory.tools.answer import ToolAnswer
from tests.support.library_server import library_server, post

if TYPE_CHECKING:
    from starlette.testclient import TestClient

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    "io.modelcontextprotocol/clientInfo": {"name": "agent", "version": "1"},
}
VERSION_KEY, CAPABILITIES_KEY, CLIENT_KEY = META
BARE_META = {key: META[key] for key in (VERSION_KEY, CAPABILITIES_KEY)}
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "agent", "version": "1"},
}
CALLED = ToolAnswer("called", {"sessionId": 1})


@pytest.fixture(scope="module")
def library() -> Iterator[TestClient]:
    with library_server(CALLED) as client:
        yield client


def request(method: str, params: object = None, number: object = 1) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": number, "method": method}
    return message if params is None else {**message, "params": params}


def mine(message: object) -> Any:
    """Return our answer; a call is carried out as the library's server does."""
    step = respond(message)
    body = mcp_server.tool_result(step, CALLED) if isinstance(step, ToolCall) else step.body
    return json.loads(body) if body else None


@pytest.mark.parametrize(
    "message",
    [
        request("initialize", INITIALIZE),
        request("initialize", {**INITIALIZE, "protocolVersion": "2024-11-05"}, "text id"),
        request("initialize", {**INITIALIZE, "protocolVersion": "2031-01-01"}),
        request("server/discover", {"_meta": META}, "d"),
        request("server/discover", {"_meta": BARE_META}, "d"),
        request("tools/list"),
        request("tools/list", {}),
        request("tools/list", {"_meta": {"progressToken": 1}}),
        request("tools/list", {"cursor": "any"}),
        request("tools/list", {"_meta": META}, 7),
        request("ping"),
        request("ping", {}),
        request("tools/call", {"name": "list_sessions"}),
        request("tools/call", {"name": "list_sessions", "arguments": None}),
        request("tools/call", {"name": "list_sessions", "arguments": {"limit": 1}}, "x"),
        request("tools/call", {"name": "list_sessions", "_meta": META}),
        request("tools/call", {"name": "no such\n tool", "_meta": BARE_META}),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}},
        {"jsonrpc": "2.0", "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ],
    ids=lambda message: json.dumps(message)[16:90],
)
def test_what_is_in_order_is_answered_as_the_library_answers(
    library: TestClient, message: dict[str, Any]
) -> None:
    status, theirs = post(library, message)
    assert mine(message) == theirs
    assert status == (202 if theirs is None else 200)


@pytest.mark.parametrize(
    "message",
    [
        request("initialize", {"protocolVersion": "2025-11-25"}),
        request("initialize", {**INITIALIZE, "clientInfo": {"name": "agent"}}),
        request("server/discover", {"_meta": {**META, VERSION_KEY: "2031-01-01"}}),
        request("server/discover", {"_meta": {VERSION_KEY: "2026-07-28"}}),
        request("tools/list", {"_meta": {**META, CLIENT_KEY: {"name": 4}}}),
        request("tools/list", {"cursor": 4}),
        request("tools/call", {}),
        request("tools/call", {"name": 4}),
        request("tools/call", {"name": "list_sessions", "arguments": []}),
        request("tools/call", {"arguments": {}, "_meta": META}),
        request("ping", {"_meta": META}),
        request("no/such"),
        request("no/such", {"_meta": META}),
        request("resources/list"),
        request("logging/setLevel", {"level": "debug"}),
    ],
    ids=lambda message: json.dumps(message)[16:90],
)
def test_what_is_not_is_refused_with_the_code_of_the_library(
    library: TestClient, message: dict[str, Any]
) -> None:
    theirs, ours = post(library, message)[1], mine(message)
    assert ours["error"]["code"] == theirs["error"]["code"]
    if ours["error"]["code"] == mcp_server.UNSUPPORTED_VERSION:
        assert ours["error"]["data"] == theirs["error"]["data"]
    assert (ours["id"], set(ours)) == (theirs["id"], set(theirs))


@pytest.mark.parametrize(
    ("message", "code", "number"),
    [
        (request("tools/list", []), -32602, 1),
        (request("tools/list", {"_meta": []}), -32602, 1),
        (request("server/discover"), -32601, 1),
        (request("tools/list", None, True), -32600, None),
        (request("tools/list", None, 1.5), -32600, None),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, -32600, None),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, -32600, None),
        ({"jsonrpc": "2.0", "id": 1, "method": 4}, -32600, 1),
        ([request("ping")], -32600, None),
        ("ping", -32600, None),
    ],
    ids=repr,
)
def test_what_is_no_request_is_refused(message: object, code: int, number: int | None) -> None:
    answer = mine(message)
    assert (answer["error"]["code"], answer["id"]) == (code, number)
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [b'{"jsonrpc":"2.0","id":1', b"\xff", b'{"jsonrpc":"2.0","jsonrpc":"2.0"}', b"[" * 100_000],
    ids=lambda body: repr(body[:40]),
)
def test_what_cannot_be_read_without_doubt_is_refused(body: bytes) -> None:
    answer = respond(mcp_server.read(body))
    assert isinstance(answer, Answer)
    assert answer.error == mcp_server.PARSE_ERROR


def test_a_call_names_the_client_that_names_itself() -> None:
    plain = respond(request("tools/call", {"name": "log_message"}))
    named = respond(request("tools/call", {"name": "log_message", "_meta": META}))
    assert isinstance(plain, ToolCall)
    assert isinstance(named, ToolCall)
    assert (plain.agent, named.agent) == ("", "agent")
