"""The static answers are those of the MCP library's server, in both protocol eras."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from pktui.memory import static
from pktui.memory.envelope import mcp_headers
from pktui.memory.service.endpoint import session_manager
from pktui.memory.tools.answer import ToolAnswer

if TYPE_CHECKING:
    from pktui.memory.records import Identity

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    "io.modelcontextprotocol/clientInfo": {"name": "agent", "version": "1"},
}
BARE_META = {key: META[key] for key in list(META)[:2]}
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "agent", "version": "1"},
}


@pytest.fixture(scope="module")
def library() -> Iterator[TestClient]:
    async def call_tool(
        _name: str, _arguments: dict[str, Any], _who: Identity, _key: str
    ) -> ToolAnswer:
        return ToolAnswer("called", {})

    manager = session_manager(call_tool)
    app = Starlette(
        routes=[Mount("/", app=manager.handle_request)], lifespan=lambda _app: manager.run()
    )
    with TestClient(app) as client:
        yield client


def request(method: str, params: object = None, number: object = 1) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": number, "method": method}
    return message if params is None else {**message, "params": params}


def ask(library: TestClient, message: dict[str, Any]) -> Any:
    body = json.dumps(message).encode()
    headers = {**mcp_headers(body, "2025-11-25"), "Content-Type": "application/json"}
    reply = library.post("/mcp", content=body, headers=headers)
    return reply.json() if reply.content else None


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
    ],
    ids=lambda message: f"{message['method']} {json.dumps(message.get('params', None))[:60]}",
)
def test_static_answer_equals_the_library(library: TestClient, message: dict[str, Any]) -> None:
    mine = static.answer(message)
    assert mine is not None
    assert json.loads(mine) == ask(library, message)


@pytest.mark.parametrize("method", ["notifications/initialized", "notifications/cancelled"])
def test_notifications_get_no_answer(library: TestClient, method: str) -> None:
    message = {"jsonrpc": "2.0", "method": method, "params": {"requestId": 4}}
    assert static.answer(message) == b""
    assert ask(library, message) is None


@pytest.mark.parametrize(
    "message",
    [
        request("tools/call", {"name": "list_sessions"}),
        request("initialize", {"protocolVersion": "2025-11-25"}),
        request("initialize", {**INITIALIZE, "clientInfo": {"name": "agent"}}),
        request("server/discover"),
        request("server/discover", {"_meta": {**META, next(iter(META)): "2031-01-01"}}),
        request("server/discover", {"_meta": {next(iter(META)): "2026-07-28"}}),
        request("tools/list", {"cursor": 4}),
        request("tools/list", []),
        request("tools/list", {"_meta": []}),
        request("tools/list", None, None),
        request("tools/list", None, True),
        request("ping", {"_meta": META}),
        request("no/such"),
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "method": "tools/list"},
    ],
    ids=repr,
)
def test_what_is_out_of_the_ordinary_is_left_to_the_service(message: dict[str, Any]) -> None:
    assert static.answer(message) is None
