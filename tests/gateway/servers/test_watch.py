"""A list of servers that is edited while it is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pktui.gateway.servers.entries import load_servers
from pktui.gateway.servers.watch import LiveServers
from pktui.settings import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "config").mkdir()
    return Paths.at(tmp_path / "config", tmp_path / "data")


def write(paths: Paths, *names: str) -> None:
    paths.servers_file.write_text(
        json.dumps({"mcpServers": {name: {"command": "true"} for name in names}})
    )


def test_every_edit_is_seen_however_soon_it_follows_the_last(paths: Paths) -> None:
    said: list[str] = []
    servers = LiveServers(paths, load_servers(paths), said.append)
    assert list(servers.current()) == ["memory"]
    for name in "abcdefgh":
        write(paths, name)
        assert list(servers.current()) == ["memory", name]
    paths.servers_file.unlink()
    assert list(servers.current()) == ["memory"]
    assert said == []


def test_a_list_that_says_the_same_stays_the_same_object(paths: Paths) -> None:
    write(paths, "one")
    servers = LiveServers(paths, load_servers(paths), lambda _sentence: None)
    before = servers.current()
    paths.servers_file.write_text(paths.servers_file.read_text() + "\n")
    assert servers.current() is before


def test_a_broken_edit_keeps_the_last_good_list_and_is_told_once(paths: Paths) -> None:
    said: list[str] = []
    write(paths, "one")
    servers = LiveServers(paths, load_servers(paths), said.append)
    paths.servers_file.write_text('{"mcpServers": {')
    for _ in range(3):
        assert list(servers.current()) == ["memory", "one"]
    assert len(said) == 1
    assert "servers.json" in said[0]
    assert "stay as they were" in said[0]
    write(paths, "two")
    assert list(servers.current()) == ["memory", "two"]


def test_a_broken_edit_of_one_entry_keeps_that_one_and_takes_the_others(paths: Paths) -> None:
    said: list[str] = []
    write(paths, "one", "two")
    servers = LiveServers(paths, load_servers(paths), said.append)
    one = {"command": "false", "args": "no list"}
    paths.servers_file.write_text(
        json.dumps({"mcpServers": {"one": one, "two": {"command": "false"}, "odd one": {}}})
    )
    for _ in range(3):
        now = servers.current()
    assert {name: entry.command for name, entry in now.items()} == {
        "memory": "", "one": "true", "two": "false",
    }  # fmt: skip
    assert len(said) == 2
    assert any("server 'one': args is text" in line and "stays as it was" in line for line in said)
    assert any("server 'odd one'" in line and "stays" not in line for line in said)
    write(paths, "two")
    assert list(servers.current()) == ["memory", "two"]


def test_what_is_wrong_at_the_start_is_told(paths: Paths) -> None:
    said: list[str] = []
    paths.servers_file.write_text('{"mcpServers": {"memory": {}, "one": {"command": "true"}}}')
    servers = LiveServers(paths, load_servers(paths), said.append)
    assert list(servers.current()) == ["memory", "one"]
    assert len(said) == 1
    assert "line 1: server 'memory'" in said[0]
