"""`/mcp`: the tools over streamable HTTP, stateless, in both protocol eras.

The library's check of `Host` against DNS rebinding is for TCP; a Unix socket has no name that a
web page could rebind, so it is off here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

from pktui.memory.service.requests import identity_of, key_of
from pktui.memory.tools.catalogue import (
    INSTRUCTIONS,
    SERVER_NAME,
    SERVER_TITLE,
    SERVER_VERSION,
    definitions,
)

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import PaginatedRequestParams

    from pktui.memory.records import Identity
    from pktui.memory.tools.answer import ToolAnswer

MAX_BODY_BYTES = 4 * 1024 * 1024

CLIENT_INFO_KEY = "io.modelcontextprotocol/clientInfo"

CallTool = Callable[[str, dict[str, Any], "Identity", str], Awaitable["ToolAnswer"]]


def session_manager(call_tool: CallTool) -> StreamableHTTPSessionManager:
    """Return the MCP server whose tools are carried out by `call_tool`.

    It gets the name, the arguments, who asks, and the key of the request.
    """
    tools = [Tool.model_validate(definition) for definition in definitions()]

    async def list_tools(
        _context: ServerRequestContext, _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def run_tool(
        context: ServerRequestContext, params: CallToolRequestParams
    ) -> CallToolResult:
        assert context.request is not None  # every message comes in an HTTP request
        who = _named(identity_of(context.request), context.params or {})
        key = key_of(context.request)
        answer = await call_tool(params.name, params.arguments or {}, who, key)
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
        on_call_tool=run_tool,
    )
    return StreamableHTTPSessionManager(
        server, json_response=True, stateless=True, max_request_body_size=MAX_BODY_BYTES
    )


def _named(who: Identity, params: Mapping[str, Any]) -> Identity:
    """Name an agent that no header names by what it says of itself in the request."""
    meta = params.get("_meta")
    info = meta.get(CLIENT_INFO_KEY) if isinstance(meta, Mapping) else None
    name = info.get("name") if isinstance(info, Mapping) else None
    if who.agent or not isinstance(name, str):
        return who
    return msgspec.structs.replace(who, agent=name)
