"""The built-in memory behind a gateway: answers at once, calls as soon as the service is up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pktui.ledger.ledger import Ledger
from pktui.memory.client import MemoryClient
from pktui.settings import bundled
from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from pktui.settings import Paths

INFO = {
    "protocolVersion": "2025-11-25",
    "clientInfo": {"name": "tester", "version": "1"},
    "capabilities": {},
}


@pytest.fixture(autouse=True)
def _service_ends(paths: Paths) -> Iterator[None]:
    yield
    client = MemoryClient(paths, start=False)
    client.stop()
    client.close()


def test_a_cold_memory_answers_and_keeps_what_it_is_told(paths: Paths) -> None:
    with RunningGateway("memory") as gateway:
        assert gateway.ask("initialize", 0, **INFO)["result"]["serverInfo"]["name"]
        tools = gateway.ask("tools/list", 1)["result"]["tools"]
        assert len(tools) == 14
        assert "delete_knowledge" not in [tool["name"] for tool in tools]
        gateway.call("start_logging_session", 2)
        gateway.call("log_message", 3, role="user", content="the lighthouse needs paint")
        replies = {reply["id"]: reply["result"] for reply in (gateway.reply(), gateway.reply())}
        assert not replies[2].get("isError"), replies[2]
        assert not replies[3].get("isError"), replies[3]
        gateway.call("end_session", 4)
        assert "[WAITING for approval" in gateway.reply()["result"]["content"][0]["text"]
        assert gateway.hang_up() == 0
    policy = paths.policy_file("memory").read_bytes()
    assert policy == bundled("config", "policies", "memory.json").read_bytes()
    ledger = Ledger.open(paths.ledger_file)
    calls = [(row.tool, row.agent, row.outcome) for row in ledger.feed.page()]
    assert calls == [
        ("start_logging_session", "tester", "ok"),
        ("log_message", "tester", "ok"),
        ("end_session", "tester", "waiting"),
    ]
    [session] = MemoryClient(paths).sessions().items
    assert session.agent == "tester"


def test_under_a_policy_that_allows_all_every_tool_is_listed(paths: Paths) -> None:
    file = paths.policy_file("memory")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": "1", "default": "allow", "tools": {}}))
    with RunningGateway("memory") as gateway:
        assert len(gateway.ask("tools/list", 1)["result"]["tools"]) == 15
        assert gateway.ask("ping", 2)["result"] == {}
        assert "error" in gateway.ask("no/such/method", 3)
