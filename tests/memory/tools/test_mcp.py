"""The real MCP client over the real socket, in both protocol eras."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from pktui.memory import rendezvous
from pktui.memory.client import MemoryClient
from pktui.memory.envelope import identity_headers
from pktui.memory.records import Identity
from pktui.memory.tools.answer import ToolAnswer
from pktui.memory.tools.definitions import INSTRUCTIONS, SERVER_NAME, definitions
from tests.support.library_server import headers_of, library_server
from tests.support.memory_service import mcp_answer

if TYPE_CHECKING:
    from pktui.settings import Paths


@pytest.mark.usefixtures("_patient_discovery")
@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_a_client_lists_and_calls_the_tools(served: Paths, mode: str, version: str) -> None:
    who = Identity("mcp client", f"grant ü {mode}", "/home/ada")
    met = rendezvous.read(served)
    assert met is not None
    transport = httpx2.AsyncHTTPTransport(uds=str(rendezvous.socket_of(served, met)))
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
    got = mcp_answer(memory, body)
    assert (got is None) is (answer is None)
    if answer is not None:
        assert got is not None
        assert answer in got


@pytest.mark.parametrize("http", ["service", "library"])
def test_over_http_statuses_and_headers_are_those_of_the_library(served: Paths, http: str) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    call = {**listing, "method": "tools/call", "params": {"name": "list_sessions", "_meta": meta}}
    with service(served) if http == "service" else library_server(ToolAnswer("", {})) as client:

        def status(message: object, **changed: str | None) -> int:
            headers = {**headers_of(message)}
            for name, value in changed.items():
                headers.pop(name.replace("_", "-"), None)
                if value is not None:
                    headers[name.replace("_", "-")] = value
            return int(
                client.post("/mcp", content=json.dumps(message), headers=headers).status_code
            )

        assert status(listing) == status(call) == 200
        assert status(listing, Accept="text/html") == 406
        assert status(listing, Mcp_Method="tools/call") == 400
        assert status(listing, Mcp_Method=None) == 400
        assert status(call, Mcp_Name="log_message") == 400
        assert status(call, Mcp_Name="=?base64?bGlzdF9zZXNzaW9ucw==?=") == 200
        assert status(call, Mcp_Name="=?base64?!?=") == 400
        assert status({**listing, "method": "no/such"}) == 404
        assert status({"jsonrpc": "2.0", "method": "notifications/initialized"}) == 202
        assert status({"jsonrpc": "2.0", "id": 1, "method": "no/such"}) == 200
        assert status("no message") == 400
        assert (
            status({"jsonrpc": "2.0", "id": 1, "method": "ping"}, Mcp_Protocol_Version="1") == 400
        )
        if http == "service":
            assert client.get("/mcp").status_code == client.delete("/mcp").status_code == 405
            assert status(listing, Content_Type="text/plain") == 415


@contextmanager
def service(paths: Paths) -> Iterator[httpx2.Client]:
    """Speak HTTP to the service's socket."""
    met = rendezvous.read(paths)
    assert met is not None
    transport = httpx2.HTTPTransport(uds=str(rendezvous.socket_of(paths, met)))
    with httpx2.Client(transport=transport, base_url="http://localhost", timeout=60) as client:
        yield client


def test_a_message_of_the_modern_era_needs_no_agreed_version(memory: MemoryClient) -> None:
    got = mcp_answer(
        memory,
        b'{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"list_sessions",'
        b'"arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
        b'"io.modelcontextprotocol/clientCapabilities":{}}}}',
    )
    assert got is not None
    assert b'"resultType":"complete"' in got.replace(b" ", b"")
