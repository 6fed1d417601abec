"""The sample client configurations: each names gateways that pktui would start."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from pktui.gateway.main import parse
from pktui.settings import bundled

MEMBERS = {
    "claude-code.mcp.json": "mcpServers",
    "cursor.mcp.json": "mcpServers",
    "opencode.json": "mcp",
    "codex.config.toml": "mcp_servers",
}


def commands(name: str) -> dict[str, list[str]]:
    text = bundled("config", "clients", name).read_text()
    document: dict[str, Any] = tomllib.loads(text) if name.endswith(".toml") else json.loads(text)
    return {
        server: entry["command"]
        if isinstance(entry["command"], list)
        else [entry["command"], *entry["args"]]
        for server, entry in document[MEMBERS[name]].items()
    }


@pytest.mark.parametrize("name", MEMBERS)
def test_a_sample_puts_the_memory_and_a_server_behind_the_gateway(name: str) -> None:
    found = commands(name)
    assert found["memory"] == ["pktui", "gateway", "memory"]
    asked, command = parse(found["git"][2:])
    assert (asked.name, command[0]) == ("git", "uvx")


def test_every_sample_is_tried() -> None:
    folder = bundled("config", "clients")
    assert {file.name for file in folder.iterdir()} == set(MEMBERS)
