"""The real MCP client over the real socket, in both protocol eras."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from pktui.memory import meeting, static
from pktui.memory.client import MemoryClient
from pktui.memory.envelope import identity_headers, mcp_headers
from pktui.memory.records import Identity
from pktui.memory.tools.catalogue import INSTRUCTIONS, SERVER_NAME, definitions

if TYPE_CHECKING:
    from pktui.settings import Paths


@pytest.mark.usefixtures("_patient_discovery")
@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_a_client_lists_and_calls_the_tools(served: Paths, mode: str, version: str) -> None:
    who = Identity("mcp client", f"grant ü {mode}", "/home/ada")
    met = meeting.read(served)
    assert met is not None
    transport = httpx2.AsyncHTTPTransport(uds=str(meeting.socket_of(served, met)))
    headers = identity_headers(who)
    async with httpx2.AsyncClient(transport=transport, headers=headers, timeout=60) as http:
        streams = streamable_http_client("http://localhost/mcp", http_client=http)
        async with Client(streams, mode=mode) as client:
            assert client.protocol_version == version
            assert client.instructions == INSTRUCTIONS
            assert client.server_info is not None
            assert client.server_info.name == SERVER_NAME
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == [one["name"] for one in definitions()]
            await client.call_tool("start_logging_session", {"name": "over MCP"})
            logged = await client.call_tool("log_message", {"role": "user", "content": "quokka"})
            found = await client.call_tool("search_all_sessions", {"query": "quokka"})
            refused = await client.call_tool("get_session", {"sessionId": 1.5})
    assert not logged.is_error
    assert logged.structured_content is not None
    assert found.structured_content is not None
    ids = [hit["messageId"] for hit in found.structured_content["results"]]
    assert logged.structured_content["messageId"] in ids
    assert refused.is_error
    assert refused.structured_content is None
    memory = MemoryClient(served, who, start=False)
    session = memory.current_session()
    assert session is not None
    assert (session.name, session.agent, session.project) == ("over MCP", who.agent, who.project)
    memory.close()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', b'{"jsonrpc":"2.0","id":1,"result":{}}'),
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', None),
        (b'{"jsonrpc":"2.0","id":1,"method":"no/such"}', b'"code":-32601'),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', b'"code":-32602'),
        (b'{"jsonrpc":"2.0","id":1', b'"code":-32700'),
        ('{"jsonrpc":"2.0","id":1,"method":"ü\\n"}'.encode(), b'"code":-32601'),
    ],
)
def test_one_message_is_carried_for_the_gateway(
    memory: MemoryClient, body: bytes, answer: bytes | None
) -> None:
    got = memory.mcp(body)
    assert (got is None) is (answer is None)
    if answer is not None:
        assert got is not None
        assert answer in got


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.mark.parametrize("meta", [None, META], ids=["handshake", "modern"])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_sessions", {"limit": 1}),
        ("search_all_sessions", {"query": 'ünïcode " 🎉'}),
        ("get_session", {"sessionId": 999}),
        ("log_message", {"role": "nobody", "content": "x"}),
        ("log_message", {}),
        ("get_knowledge_stats", None),
    ],
)
def test_a_plain_call_is_answered_as_the_library_answers(
    memory: MemoryClient, tool: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None
) -> None:
    params: dict[str, Any] = {"name": tool}
    if arguments is not None:
        params["arguments"] = arguments
    if meta is not None:
        params["_meta"] = meta
    body = json.dumps({"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": params})
    memory.mcp(body.encode())  # a first search may wait for the model, and says so
    mine = memory.mcp(body.encode())
    headers = mcp_headers(body.encode(), "2025-11-25")
    theirs = memory._send(memory._transport, "POST", "/mcp", body.encode(), headers=headers)
    assert mine is not None
    assert json.loads(mine) == json.loads(theirs.body)


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        {},
        {"name": "no_such_tool"},
        {"name": "list_sessions", "arguments": []},
        {"name": "list_sessions", "task": {}},
        {"name": "list_sessions", "_meta": []},
        {"name": "list_sessions", "_meta": {**META, next(iter(META)): "2031-01-01"}},
    ],
    ids=repr,
)
def test_a_call_out_of_the_ordinary_is_left_to_the_library(params: object) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    assert static.tool_call(message) is None
    assert static.tool_call({**message, "params": {"name": "list_sessions"}}) is not None
    assert static.tool_call({"jsonrpc": "2.0", "id": 1, "method": "ping"}) is None


def test_a_message_of_the_modern_era_needs_no_agreed_version(memory: MemoryClient) -> None:
    got = memory.mcp(
        b'{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"list_sessions",'
        b'"arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
        b'"io.modelcontextprotocol/clientCapabilities":{}}}}'
    )
    assert got is not None
    assert b'"resultType":"complete"' in got.replace(b" ", b"")
