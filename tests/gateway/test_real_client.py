"""The official SDK's client and server with a gateway between them, in both protocol eras."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import ElicitResult, Implementation

from pktui.ledger.ledger import Ledger
from tests.support.gateway import environment

if TYPE_CHECKING:
    from pktui.settings import Paths

SERVER = Path(__file__).parents[1] / "support" / "sdk_server.py"
pytestmark = pytest.mark.usefixtures("_patient_discovery")
ERAS = ["legacy", "auto", "2026-07-28"]


@pytest.fixture
def ledger(paths: Paths) -> Ledger:
    file = paths.policy_file("sdk")
    file.parent.mkdir(parents=True)
    once = {"counter": "walks", "window": "hour", "max": 1, "scope": "grant"}
    tools = {
        "remove": {"action": "deny", "reason": "Nothing is removed here."},
        "walk": {"limits": [once]},
        "book": {"limits": [{**once, "counter": "books"}]},
    }
    document = {"version": "1", "default": "allow", "hide": ["secret"], "tools": tools}
    file.write_text(json.dumps(document))
    return Ledger.open(paths.ledger_file)


@asynccontextmanager
async def connected(era: str, **options: Any) -> AsyncIterator[Client]:
    command = ["-m", "pktui", "gateway", "sdk", "--", sys.executable, str(SERVER)]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=environment())
    info = Implementation(name="tester", version="1")
    async with Client(parameters, mode=era, client_info=info, **options) as client:
        yield client


def said(result: Any) -> str:
    return str(result.content[0].text)


@pytest.mark.parametrize("era", ERAS)
async def test_a_whole_visit(ledger: Ledger, era: str) -> None:
    async with connected(era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["add", "fail", "walk", "rest", "book"]  # what is denied is not offered
        added = await client.call_tool("add", {"a": 2, "b": 3})
        assert (said(added), added.structured_content) == ("5", {"result": 5})
        denied = await client.call_tool("remove", {"path": "x"})
        assert denied.is_error
        assert said(denied).startswith("[DENIED by pktui] Nothing is removed here.")
        assert (await client.call_tool("fail", {})).is_error
        for name in ("secret", "made_up"):
            unknown = await client.call_tool(name, {})
            assert (unknown.is_error, said(unknown)) == (True, f"Unknown tool: {name}")
        assert (await client.read_resource("note://one")).contents[0].uri == "note://one"
        assert (await client.get_prompt("hello", {"name": "Ada"})).messages
    rows = ledger.feed.page()
    assert [(row.tool, row.outcome) for row in rows] == [
        ("add", "ok"),
        ("remove", ""),
        ("fail", "tool_error"),
        ("secret", ""),
        ("made_up", ""),
    ]
    assert {row.agent for row in rows} == {"tester"}
    assert ledger.verify().ok


@pytest.mark.parametrize("era", ERAS)
async def test_progress_comes_through_and_a_quota_holds(ledger: Ledger, era: str) -> None:
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        steps.append(progress)

    async with connected(era) as client:
        assert said(await client.call_tool("walk", {}, progress_callback=note)) == "arrived"
        assert steps == [1, 2, 3]
        over = await client.call_tool("walk", {})
        assert over.is_error
        assert "It is open again in" in said(over)
    assert ledger.verify().ok


async def test_a_call_that_asks_back_is_charged_once(ledger: Ledger) -> None:
    async def accept(*_: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"ok": True})

    async with connected("2026-07-28", elicitation_callback=accept) as client:
        assert said(await client.call_tool("book", {})) == "booked: accept"
        assert (await client.call_tool("book", {})).is_error
    assert [row.effect for row in ledger.feed.page()] == ["allow", "allow", "deny"]


async def test_a_shortened_list_is_not_kept_by_the_client(ledger: Ledger) -> None:
    async with connected("2026-07-28") as client:
        listed = await client.list_tools()
        assert (listed.ttl_ms, listed.cache_scope) == (0, "private")
    assert "secret" in [tool.name for tool in ledger.catalogue.tools("sdk")]
