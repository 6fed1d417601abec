"""The MCP library's own server of the memory's tools: what ours is compared with."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from pktui.memory.tools.definitions import (
    INSTRUCTIONS,
    SERVER_NAME,
    SERVER_TITLE,
    SERVER_VERSION,
    definitions,
)

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import PaginatedRequestParams

    from pktui.memory.tools.answer import ToolAnswer

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"


@contextmanager
def library_server(answer: ToolAnswer) -> Iterator[TestClient]:
    """Serve the tools; every call is answered so."""
    tools = [Tool.model_validate(definition) for definition in definitions()]

    async def list_tools(
        _context: ServerRequestContext, _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(
        _context: ServerRequestContext, _params: CallToolRequestParams
    ) -> CallToolResult:
        return CallToolResult(
            content=[TextContent(text=answer.text)],
            structured_content=answer.structured,
            is_error=answer.is_error,
        )

    server = Server(
        SERVER_NAME,
        version=SERVER_VERSION,
        title=SERVER_TITLE,
        instructions=INSTRUCTIONS,
        get_tool_input_schema={tool.name: tool.input_schema for tool in tools}.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
    app = Starlette(
        routes=[Mount("/", app=manager.handle_request)], lifespan=lambda _app: manager.run()
    )
    with TestClient(app) as client:
        yield client


def headers_of(message: object) -> dict[str, str]:
    """Return the headers that streamable HTTP wants beside a message."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if not isinstance(message, dict):
        return headers
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    if not isinstance(version, str):
        return {**headers, "Mcp-Protocol-Version": "2025-11-25"}
    headers |= {"Mcp-Protocol-Version": version, "Mcp-Method": str(message.get("method"))}
    name = params.get("name") if isinstance(params, dict) else None
    if isinstance(name, str):
        plain = name.isascii() and name.isprintable()
        coded = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
        headers["Mcp-Name"] = name if plain else coded
    return headers


def post(client: TestClient, message: object) -> tuple[int, Any]:
    """Return the status and the message that answers a message."""
    reply = client.post("/mcp", content=json.dumps(message), headers=headers_of(message))
    return reply.status_code, reply.json() if reply.content else None
