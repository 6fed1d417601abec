"""A policy under the name that servers given by hand once shared is named, and never taken over."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from pktui.gateway.servers.former import former_name, hold, left_behind
from pktui.gateway.servers.naming import server_of_command, server_of_url
from pktui.policy.document.policy import load_policy
from pktui.settings import ServerSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

SERVER = server_of_command("", ["node", "/opt/bank/dist/index.js"])
SETTINGS = Settings()


def write(paths: Paths, name: str) -> Path:
    paths.policies_dir.mkdir(parents=True, exist_ok=True)
    file = paths.policy_file(name)
    file.write_text('{"version": "1", "default": "deny"}')
    return file


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/'my server.py' x", "my-server"),
        ("npx -y @modelcontextprotocol/server-filesystem ~/work", "server-filesystem"),
        ("uvx --from mcp-server-time==2.0 serve", "mcp-server-time"),
        ("python -m mcp_server_git", "mcp_server_git"),
        ("docker run -i -e KEY -v /a:/b ghcr.io/x/y-mcp:1.0", "y-mcp"),
        ("node /opt/bank/dist/index.js", "index"),
        ("bash -c x", "bash"),
        ("…", "server"),
    ],
)
def test_the_former_name_of_a_command_is_known(command: str, name: str) -> None:
    assert former_name(server_of_command("", shlex.split(command))) == name


def test_the_former_name_of_a_url_is_its_host() -> None:
    assert former_name(server_of_url("", "https://a:b@mcp.example.com:8443/x", {})) == (
        "mcp.example.com"
    )


def test_nothing_left_behind_is_nothing_said(paths: Paths) -> None:
    assert hold(paths, SETTINGS, SERVER) == ()
    assert not paths.policies_dir.exists()


def test_a_policy_left_behind_is_named_with_what_to_do_and_every_call_asks(paths: Paths) -> None:
    old, own = write(paths, "index"), paths.policy_file(SERVER.name)
    for _ in range(2):  # at every start, until somebody decides
        (said,) = hold(paths, SETTINGS, SERVER)
        assert f"mv {old} {own}" in said
        policy = load_policy(own)
        assert (policy.default, dict(policy.tools)) == ("approve", {})
        assert "index.json" in policy.description
    assert old.exists()


def test_a_policy_of_ones_own_ends_it(paths: Paths) -> None:
    old = write(paths, "index")
    hold(paths, SETTINGS, SERVER)
    old.rename(paths.policy_file(SERVER.name))
    assert hold(paths, SETTINGS, SERVER) == ()
    write(paths, "index")
    assert left_behind(paths, SETTINGS, SERVER) == ()


def test_the_policy_of_a_configured_server_of_that_name_is_not_left_behind(paths: Paths) -> None:
    write(paths, "index")
    paths.servers_file.write_text(json.dumps({"mcpServers": {"index": {"command": "x"}}}))
    assert left_behind(paths, SETTINGS, SERVER) == ()


def test_settings_left_behind_are_named(paths: Paths) -> None:
    settings = Settings(servers={"index": ServerSettings(redact=True)})
    (said,) = left_behind(paths, settings, SERVER)
    assert f'[servers."{SERVER.name}"]' in said
