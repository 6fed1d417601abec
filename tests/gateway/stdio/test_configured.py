"""`pktui gateway NAME`: entries at fault harm nothing else; what an entry leaves out is hidden."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pktui.memory.client import MemoryClient
from tests.support.gateway import RunningGateway, plain_server

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "probe", "version": "1"},
}


def entry(*options: str, **members: Any) -> dict[str, Any]:
    command, *args = plain_server(*options)
    return {"command": command, "args": args, **members}


def configure(paths: Paths, text: str, *allowed: str) -> None:
    paths.policies_dir.mkdir(parents=True, mode=0o700)
    paths.servers_file.write_text(text, encoding="utf-8")
    for server in allowed:
        paths.policy_file(server).write_text('{"version": "1", "default": "allow"}')


def test_every_other_server_goes_on_and_the_log_names_what_is_wrong(paths: Paths) -> None:
    servers = {"good": entry(), "My Notes": {"command": "x"}, "port": {"command": "x", "args": 1}}
    configure(paths, json.dumps({"mcpServers": servers}, indent=1), "good")
    with RunningGateway("good") as gateway:
        assert "result" in gateway.ask("initialize", **INITIALIZE)
        assert gateway.hang_up() == 0
        words = gateway.all_words()
    assert "server 'My Notes': this name cannot be that of a file" in words
    assert "server 'port': args is a number, not a list" in words
    assert all("servers.json, line" in line for line in words.splitlines() if "server '" in line)


@pytest.mark.parametrize("text", ["nonsense", '{"mcpServers": {"memory": {"command": "x"}}}'])
def test_the_memory_goes_on_whatever_the_list_of_servers_holds(paths: Paths, text: str) -> None:
    configure(paths, text)
    with RunningGateway("memory") as gateway:
        assert "result" in gateway.ask("initialize", **INITIALIZE)
        gateway.hang_up()
        assert "servers.json, line 1" in gateway.all_words()
    with closing(MemoryClient(paths)) as memory:  # the gateway started the service, which stays
        memory.ensure()
        memory.stop()


def test_a_server_that_cannot_be_used_is_refused_with_line_and_cure(paths: Paths) -> None:
    configure(paths, '{"mcpServers": {\n"port": {"command": "x",\n"args": 1}}}')
    with RunningGateway("port") as gateway:
        message = gateway.ask("initialize", **INITIALIZE)["error"]["message"]
    assert "servers.json, line 3: server 'port': args is a number, not a list" in message


@pytest.mark.parametrize(
    "selection",
    [{"excludeTools": ["write", "secret"]}, {"disabled_tools": ["write", "secret"]},
     {"tools": {"write": False, "secret": False}}, {"includeTools": ["echo"]},
     {"enabled_tools": ["echo", "write"], "disabled_tools": ["write"]}],
    ids=str,
)  # fmt: skip
def test_tools_that_an_entry_leaves_out_are_not_listed_and_not_called(
    paths: Paths, selection: dict[str, Any]
) -> None:
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "write")]
    server = entry("--tools", json.dumps(tools), **selection)
    configure(paths, json.dumps({"mcpServers": {"one": server}}), "one")
    with RunningGateway("one") as gateway:
        gateway.ask("initialize", **INITIALIZE)
        listed = gateway.ask("tools/list", 2)["result"]["tools"]
        assert [tool["name"] for tool in listed] == ["echo"]
        hidden = json.dumps(gateway.ask("tools/call", 3, name="write", arguments={}))
        assert "Unknown tool: write" in hidden
        assert "result" in gateway.ask("tools/call", 4, name="echo", arguments={})


def test_a_server_by_hand_says_its_name_and_what_was_left_behind(paths: Paths) -> None:
    configure(paths, "{}", "plain_server")
    with RunningGateway("--", *plain_server()) as gateway:
        assert "result" in gateway.ask("initialize", **INITIALIZE)
        gateway.hang_up()
        words = gateway.all_words()
    assert "this server is called script_" in words
    assert f"{paths.policy_file('plain_server')} was written for whatever was called" in words
    (own,) = set(paths.policies_dir.glob("script_*.json"))
    assert json.loads(own.read_text())["default"] == "approve"


def test_a_home_that_is_named_beats_the_environment(tmp_path: Path, paths: Paths) -> None:
    home = tmp_path / "the home"
    (home / "config").mkdir(parents=True)
    command, *arguments = plain_server()
    entries = {"demo": {"command": command, "args": arguments}}
    (home / "config" / "servers.json").write_text(json.dumps({"mcpServers": entries}))
    with RunningGateway("demo", "--home", "the home", cwd=tmp_path) as gateway:
        assert gateway.ask("tools/list")["result"]["tools"]
        assert gateway.hang_up() == 0
    assert (home / "data" / "ledger.db").exists()
    assert (home / "config" / "policies" / "demo.json").exists()
    assert not paths.ledger_file.exists()
