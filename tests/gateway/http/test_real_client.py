"""The official SDK's client against a listening gateway, in both protocol eras."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client import session
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult, Implementation

from pktui.settings import Paths
from tests.gateway.http.served import Served, sdk_over_http, served, write_policy, write_servers

SDK = Path(__file__).parents[2] / "support" / "sdk_server.py"
pytestmark = pytest.mark.usefixtures("_patient_discovery")
ERAS = ["legacy", "auto", "2026-07-28"]
BACKENDS = ["url", "command"]
RULES = {"remove": {"action": "deny", "reason": "Nothing is removed here."}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("real")
    paths = Paths.at(place / "config", place / "data")
    with sdk_over_http() as url:
        write_servers(
            paths, url={"url": url}, command={"command": sys.executable, "args": [str(SDK)]}
        )
        for server in BACKENDS:
            write_policy(paths, server, hide=["secret"], tools=RULES)
        with served(paths) as gateway:
            yield gateway


@asynccontextmanager
async def connected(
    running: Served, server: str, era: str, **options: Any
) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {running.token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(running.url(f"/mcp/{server}"), http_client=http)
        info = Implementation(name="visitor", version="1")
        async with Client(transport, mode=era, client_info=info, **options) as client:
            yield client


def said(result: Any) -> str:
    return str(result.content[0].text)


@pytest.mark.parametrize("server", BACKENDS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_whole_visit(
    running: Served, server: str, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is patient: a server that starts slowly is not taken for one of the old era."""
    monkeypatch.setattr(session, "DISCOVER_TIMEOUT_SECONDS", 60)
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        steps.append(progress)

    async def agree(*_: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"ok": True})

    async with connected(running, server, era, elicitation_callback=agree) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["add", "fail", "walk", "rest", "book"]  # what is denied is not offered
        added = await client.call_tool("add", {"a": 2, "b": 3})
        assert (said(added), added.structured_content) == ("5", {"result": 5})
        denied = await client.call_tool("remove", {"path": "x"})
        assert said(denied).startswith("[DENIED by pktui] Nothing is removed here.")
        assert said(await client.call_tool("walk", {}, progress_callback=note)) == "arrived"
        assert said(await client.call_tool("secret", {})) == "Unknown tool: secret"
        assert (await client.read_resource("note://one")).contents[0].uri == "note://one"
        if era != "legacy":
            assert said(await client.call_tool("book", {})) == "booked: accept"
    assert steps == [1, 2, 3]
    assert running.ledger.feed.page()[-1].agent == "visitor"
    assert running.ledger.verify().ok
