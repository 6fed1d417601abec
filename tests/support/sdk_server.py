"""A server made with the official SDK: tools, progress, questions to the person, resources."""

from __future__ import annotations

import asyncio

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)

server = MCPServer("sdk")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def remove(path: str) -> str:
    """Pretend to remove a file."""
    return f"removed {path}"


@server.tool()
def secret() -> str:
    """Tell what nobody may know."""
    return "42"


@server.tool()
def fail() -> str:
    """Fail."""
    raise RuntimeError("it failed")


@server.tool()
async def walk(ctx: Context) -> str:
    """Report progress on the way."""
    for step in (1, 2, 3):
        await ctx.report_progress(step, 3)
    return "arrived"


@server.tool()
async def rest(ctx: Context) -> str:
    """Say that it has begun, and do not come back for a long time."""
    await ctx.report_progress(0, 1)
    await asyncio.sleep(600)
    return "rested"


@server.tool()
async def book(ctx: Context) -> str | InputRequiredResult:
    """Ask the person, the way of the 2026-07-28 protocol."""
    answers = ctx.input_responses
    if answers is None:
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
        params = ElicitRequestFormParams(message="Sure?", requested_schema=schema)
        return InputRequiredResult(
            input_requests={"sure": ElicitRequest(params=params)}, request_state="round-1"
        )
    answer = answers["sure"]
    return f"booked: {answer.action}" if isinstance(answer, ElicitResult) else "?"


@server.resource("note://one")
def note() -> str:
    """A note."""
    return "a note"


@server.prompt()
def hello(name: str) -> str:
    """Greet."""
    return f"Say hello to {name}"


if __name__ == "__main__":
    server.run()
