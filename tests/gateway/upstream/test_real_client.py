"""The official SDK on both ends, a gateway between stdio and HTTP in the middle, in both eras."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import ElicitResult

from pktui.ledger.ledger import Ledger
from tests.support.gateway import PATIENCE, RunningGateway, environment

if TYPE_CHECKING:
    from pktui.settings import Paths

SERVER = Path(__file__).parents[2] / "support" / "sdk_http.py"
pytestmark = pytest.mark.usefixtures("_patient_discovery")
ERAS = ["legacy", "auto", "2026-07-28"]


class Far:
    """The SDK's server in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER)], stdout=subprocess.PIPE, env=environment()
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/mcp"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def close(self) -> None:
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    started = Far()
    yield started
    started.close()


@pytest.fixture
def ledger(paths: Paths) -> Ledger:
    file = paths.policy_file("far")
    file.parent.mkdir(parents=True)
    document = {"version": "1", "default": "allow", "hide": ["secret"], "tools": {}}
    file.write_text(json.dumps(document | {"tools": {"remove": {"action": "deny"}}}))
    return Ledger.open(paths.ledger_file)


@asynccontextmanager
async def connected(url: str, era: str, **options: Any) -> AsyncIterator[Client]:
    command = ["-m", "pktui", "gateway", "far", "--url", url]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=environment())
    async with Client(parameters, mode=era, **options) as client:
        yield client


def said(result: Any) -> str:
    return str(result.content[0].text)


@pytest.mark.parametrize("era", ERAS)
async def test_a_whole_visit(far: Far, ledger: Ledger, era: str) -> None:
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        steps.append(progress)

    async with connected(far.url, era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert "secret" not in names
        assert said(await client.call_tool("add", {"a": 2, "b": 3})) == "5"
        assert (await client.call_tool("remove", {"path": "x"})).is_error
        assert said(await client.call_tool("secret", {})) == "Unknown tool: secret"
        assert said(await client.call_tool("walk", {}, progress_callback=note)) == "arrived"
        assert steps == [1, 2, 3]
        many = await asyncio.gather(*(client.call_tool("add", {"a": n, "b": 0}) for n in range(30)))
        assert [said(one) for one in many] == [str(n) for n in range(30)]
        assert (await client.read_resource("note://one")).contents[0].uri == "note://one"
        assert (await client.get_prompt("hello", {"name": "Ada"})).messages
    assert ledger.verify().ok


async def test_a_question_is_answered_in_the_stateless_era(far: Far, ledger: Ledger) -> None:
    async def accept(*_: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"ok": True})

    async with connected(far.url, "2026-07-28", elicitation_callback=accept) as client:
        assert said(await client.call_tool("book", {})) == "booked: accept"
    assert ledger.verify().ok


def test_a_server_killed_in_the_middle_of_a_call_is_an_error_at_once(ledger: Ledger) -> None:
    doomed = Far()
    try:
        with RunningGateway("far", "--url", doomed.url) as gateway:
            told = {"protocolVersion": "2025-11-25", "capabilities": {}}
            gateway.ask("initialize", 0, **told, clientInfo={"name": "t", "version": "1"})
            gateway.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
            meta = {"progressToken": "p"}
            gateway.request("tools/call", 1, name="rest", arguments={}, _meta=meta)
            assert gateway.reply()["method"] == "notifications/progress"
            doomed.kill()
            lost = gateway.reply()
            assert (lost["id"], lost["error"]["code"]) == (1, -32000)
            assert "before" in lost["error"]["message"]
            gateway.call("add", 2, a=1, b=2)
            assert "can't be reached" in gateway.reply()["error"]["message"]
            assert gateway.hang_up() == 0
    finally:
        doomed.close()
    assert [row.outcome for row in ledger.feed.page()] == ["lost", "lost"]
    assert ledger.verify().ok


def test_a_url_from_the_list_of_servers_is_reached_too(
    far: Far, ledger: Ledger, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"type": "http", "url": far.url, "headers": {"X-Key": "${KEY}"}}
    paths.servers_file.write_text(json.dumps({"mcpServers": {"far": entry}}))
    with RunningGateway("far") as gateway:
        assert gateway.hang_up() == 1
        assert "headers.X-Key refers to KEY, which is not set" in gateway.all_words()
    monkeypatch.setenv("KEY", "s3cret")
    with RunningGateway("far") as gateway:
        told = {"protocolVersion": "2025-11-25", "capabilities": {}}
        opened = gateway.ask("initialize", 0, **told, clientInfo={"name": "t", "version": "1"})
        assert opened["result"]["serverInfo"]["name"] == "sdk"
        assert gateway.hang_up() == 0
        assert "s3cret" not in gateway.all_words()
    assert ledger.verify().ok
