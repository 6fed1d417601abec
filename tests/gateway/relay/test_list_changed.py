"""A client is told when it may see other tools than it was shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.protocol.tool_list import declaring_changes
from tests.gateway.wired import Wired
from tests.support.gateway import RunningGateway, plain_server

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths
    from tests.gateway.conftest import House

OPEN = {"version": "1", "default": "allow"}


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ("{}", {"listChanged": True}),
        ('{"listChanged":false,"x":1.0}', {"listChanged": True, "x": 1.0}),
        ('{"listChanged":true}', {"listChanged": True}),
    ],
)
def test_an_answer_to_initialize_declares_changes(tools: str, said: dict[str, Any]) -> None:
    line = f'{{"jsonrpc":"2.0","id":0,"result":{{"capabilities":{{"tools":{tools}}},"a":1.50}}}}'
    declared = declaring_changes(line.encode())
    assert json.loads(declared)["result"]["capabilities"]["tools"] == said
    assert b'"a":1.50' in declared


@pytest.mark.parametrize(
    "line",
    [b'{"id":0,"result":{"capabilities":{}}}', b'{"id":0,"error":{}}', b"[]",
     b'{"id":0,"result":{"capabilities":{"tools":null}}}'],
)  # fmt: skip
def test_one_without_tools_stays_as_it_is(line: bytes) -> None:
    assert declaring_changes(line) == line


@pytest.fixture
def policy(paths: Paths) -> Path:
    paths.policies_dir.mkdir(parents=True)
    file = paths.policies_dir / "plain.json"
    file.write_text(json.dumps(OPEN))
    return file


def test_a_toggle_reaches_the_client_at_once(policy: Path) -> None:
    with RunningGateway("plain", "--", *plain_server()) as gateway:
        info = {"name": "test", "version": "1"}
        begun = gateway.ask(
            "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=info
        )
        assert begun["result"]["capabilities"] == {"tools": {"listChanged": True}}
        names = [tool["name"] for tool in gateway.ask("tools/list", 2)["result"]["tools"]]
        policy.write_text(json.dumps({**OPEN, "hide": [names[0]]}))
        assert gateway.reply()["method"] == "notifications/tools/list_changed"
        left = [tool["name"] for tool in gateway.ask("tools/list", 3)["result"]["tools"]]
        assert left == names[1:]
        policy.write_text(json.dumps(OPEN))
        assert gateway.reply()["method"] == "notifications/tools/list_changed"


@pytest.mark.parametrize("lists_again", [True, False])
@pytest.mark.parametrize("called_before", [True, False])
def test_a_tool_that_was_offered_and_is_hidden_is_denied_as_that(
    lists_again: bool, called_before: bool, policy: Path
) -> None:
    with RunningGateway("plain", "--", *plain_server()) as gateway:
        info = {"name": "test", "version": "1"}
        gateway.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=info)
        names = [tool["name"] for tool in gateway.ask("tools/list", 2)["result"]["tools"]]
        if called_before:
            gateway.ask("tools/call", 3, name=names[0], arguments={})
        policy.write_text(json.dumps({**OPEN, "hide": names}))
        assert gateway.reply()["method"] == "notifications/tools/list_changed"
        if lists_again:
            assert gateway.ask("tools/list", 4)["result"]["tools"] == []
        answer = gateway.ask("tools/call", 5, name=names[0], arguments={})["result"]
        assert answer["isError"] is True
        said = answer["content"][0]["text"]
        assert said.startswith("[DENIED by pktui]")
        assert "hidden" in said


MODERN = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}


def test_a_listener_of_the_stateless_era_is_told_of_a_toggle(house: House) -> None:
    house.policy()
    wired = Wired(house)
    wanted = {"toolsListChanged": True}
    for listener, asked in (("l-1", wanted), (7, wanted), (8, {"promptsListChanged": True})):
        params = {"notifications": asked, **MODERN}
        wired.request("subscriptions/listen", params, request_id=listener)
    wired.request("tools/list", MODERN, request_id="list")
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "write")]
    wired.answer("list", result={"tools": tools, "resultType": "complete"})
    assert wired.client.next()["id"] == "list"
    house.policy(hide=["echo"])
    for _ in range(2):
        wired.relay.look()
    told = [json.loads(line) for line in wired.client.lines[1:]]
    assert [one["method"] for one in told] == ["notifications/tools/list_changed"] * 2
    ids = [one["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] for one in told]
    assert ids == ["l-1", 7]
