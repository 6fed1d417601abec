"""Asks an MCP server which tools it has, as a client of its own, without any policy between."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.errors import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp import Client

    from pktui.gateway.servers import ServerEntry

PATIENCE_SECONDS = 60.0
_MOST_PAGES = 100


def scan(entry: ServerEntry) -> list[dict[str, Any]]:
    """Return the definitions of the server's tools.

    Raises `UpstreamFailed` where it cannot be started, reached or understood in a minute.
    """
    if entry.builtin:
        from pktui.memory.tools.catalogue import definitions

        return [dict(definition) for definition in definitions()]
    try:
        return asyncio.run(asyncio.wait_for(_list(entry), PATIENCE_SECONDS))
    except TimeoutError as error:
        raise UpstreamFailed(
            f"{entry.name} did not list its tools in {PATIENCE_SECONDS:.0f} seconds",
            "Start it by hand to see what keeps it",
        ) from error
    except Exception as error:
        raise UpstreamFailed(
            f"{entry.name} did not list its tools: {_cause(error)}",
            f"Check that this starts it: {' '.join((entry.command, *entry.args)) or entry.url}",
        ) from error


async def _list(entry: ServerEntry) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with _connected(entry) as client:
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += [tool.model_dump(by_alias=True, exclude_none=True) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                break
    return found


@contextlib.asynccontextmanager
async def _connected(entry: ServerEntry) -> AsyncIterator[Client]:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    if entry.command:
        parameters = StdioServerParameters(
            command=entry.command,
            args=list(entry.args),
            env={**os.environ, **entry.env},
            cwd=entry.cwd or Path.cwd(),
        )
        async with Client(stdio_client(parameters, sys.__stderr__ or sys.stderr)) as client:
            yield client
        return
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers=dict(entry.headers)) as http,
        Client(streamable_http_client(entry.url, http_client=http)) as client,
    ):
        yield client


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a group of errors, which says most."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
