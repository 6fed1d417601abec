"""The built-in memory behind a gateway: answers at once, calls as soon as the service is up."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.protocol.server_messages import Unanswered
from pktui.gateway.upstream.memory import MemoryServer
from pktui.ledger.ledger import Ledger
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.settings import bundled
from tests.support.gateway import PATIENCE, RunningGateway

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.memory.mcp_server import ToolCall
    from pktui.settings import Paths

INFO = {
    "protocolVersion": "2025-11-25",
    "clientInfo": {"name": "tester", "version": "1"},
    "capabilities": {},
}


@pytest.fixture(autouse=True)
def _service_ends(paths: Paths) -> Iterator[None]:
    yield
    if list(paths.memory_dir.glob("*")):
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
        gateway.call("list_sessions", 4)
        assert gateway.reply()["id"] == 4


def test_a_directory_whose_name_is_no_utf_8_has_a_memory(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    monkeypatch.chdir(folder)
    with RunningGateway("memory") as gateway:
        gateway.ask("initialize", 0, **INFO)
        for number in (1, 2):
            gateway.call("start_logging_session", number)
            assert not gateway.reply()["result"].get("isError")
        assert gateway.hang_up() == 0
    assert {one.project for one in MemoryClient(paths).sessions().items} == {
        f"{os.path.realpath(tmp_path)}/caf\\udce9"
    }


def test_a_message_that_pktui_fails_on_is_answered_and_the_next_is_carried(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    said: list[str] = []
    server = MemoryServer(paths, Identity, said.append)
    carry = MemoryClient.call_tool

    def fail_once(self: MemoryClient, call: ToolCall) -> bytes:
        monkeypatch.setattr(MemoryClient, "call_tool", carry)
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(MemoryClient, "call_tool", fail_once)

    def deliver(*lines: object) -> None:
        for line in lines:
            answers.put(line)

    server.start(deliver, lambda: None)
    for number in (1, 2):
        asked = {"name": "get_session", "arguments": {"sessionId": number}}
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": asked}
        server.send(json.dumps(message).encode())
    failed = answers.get(timeout=PATIENCE)
    assert isinstance(failed, Unanswered)
    assert (failed.request_id, failed.sent) == (1, True)
    assert "nobody thought of this" in failed.why
    assert json.loads(answers.get(timeout=PATIENCE))["id"] == 2
    server.end(PATIENCE)
    assert any("nobody thought of this" in words for words in said)


def test_the_end_waits_for_the_calls_that_were_taken(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[object] = []
    ending = threading.Event()
    put = queue.Queue.put

    def noted(waiting: queue.Queue[Any], item: Any, *given: Any, **named: Any) -> None:
        if item is None:
            ending.set()
        put(waiting, item, *given, **named)

    def late(_client: MemoryClient, call: ToolCall) -> bytes:
        assert ending.wait(PATIENCE)
        return str(call.id).encode()

    monkeypatch.setattr(queue.Queue, "put", noted)
    monkeypatch.setattr(MemoryClient, "call_tool", late)
    monkeypatch.setattr(MemoryClient, "ensure", lambda _client: None)
    server = MemoryServer(paths, Identity, lambda _said: None)
    server.start(lambda *lines: answers.extend(lines), lambda: None)
    for number in (1, 2):
        asked = {"name": "get_session", "arguments": {"sessionId": number}}
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": asked}
        server.send(json.dumps(message).encode())
    server.end(PATIENCE)
    assert answers == [b"1", b"2"]
