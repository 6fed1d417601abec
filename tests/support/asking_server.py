"""A server made with the official SDK that asks its client back, the way of either era."""

from __future__ import annotations

import warnings

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    InputRequests,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
)

server = MCPServer("asking")
ASKED = SamplingMessage(role="user", content=TextContent(type="text", text="Say yes."))


@server.tool()
async def think(ctx: Context) -> str | InputRequiredResult:
    """Let the client's model think: with a request of its own, else with its result."""
    if (ctx.protocol_version or "") < "2026":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await ctx.session.create_message([ASKED], max_tokens=5)
        return "thought"
    if ctx.input_responses:
        return "thought"
    params = CreateMessageRequestParams(messages=[ASKED], max_tokens=5)
    asks: InputRequests = {"thought": CreateMessageRequest(params=params)}
    return InputRequiredResult(input_requests=asks, request_state="round-1")


@server.tool()
def token() -> str:
    """Tell a secret."""
    return "use ghp_0123456789abcdefghijABCDEFGHIJ012345"


@server.prompt()
def hello(name: str) -> str:
    """Greet."""
    return f"Say hello to {name}"


if __name__ == "__main__":
    server.run()
