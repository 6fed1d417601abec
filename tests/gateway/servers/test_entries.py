"""The configured servers, and what is said where the list cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import PktuiError, SettingsError, UnknownServer, UsageError
from pktui.gateway.servers.entries import (
    find_server,
    load_servers,
    read_headers,
    server_of_command,
    server_of_url,
)
from pktui.gateway.servers.preparing import prepared
from pktui.settings import bundled

if TYPE_CHECKING:
    from pktui.settings import Paths


def configure(paths: Paths, servers: dict[str, Any]) -> None:
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    paths.servers_file.write_text(json.dumps({"mcpServers": servers}))


def test_without_a_list_there_is_the_memory(paths: Paths) -> None:
    assert list(load_servers(paths)) == ["memory"]
    assert find_server(paths, "memory").builtin


def test_an_entry_is_taken_as_other_clients_write_it(paths: Paths) -> None:
    entry = {
        "type": "stdio",
        "disabled": False,
        "command": "npx",
        "args": ["-y", "server"],
        "env": {"TOKEN": "x"},
        "cwd": "/srv",
    }
    configure(paths, {"files": entry})
    server = find_server(paths, "files")
    assert (server.command, server.args, server.env, server.cwd) == (
        "npx", ("-y", "server"), {"TOKEN": "x"}, Path("/srv"),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["url", "httpUrl", "serverUrl"])
@pytest.mark.parametrize(
    "kind", [{}, {"type": "http"}, {"type": "streamable-http"}, {"transport": "streamableHttp"}]
)
def test_a_url_is_taken_under_each_name_that_clients_give_it(
    paths: Paths, name: str, kind: dict[str, str]
) -> None:
    headers = {"Authorization": "Bearer ${TOKEN}"}
    configure(paths, {"far": {name: "https://example.com/mcp", "headers": headers, **kind}})
    server = find_server(paths, "far")
    assert (server.url, server.headers, server.problem, server.transport) == (
        "https://example.com/mcp", headers, "", "http",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"url": "https://example.com/sse", "type": "sse"}, "its type is sse"),
        ({"url": "wss://example.com", "transport": "ws"}, "its type is ws"),
        ({"url": "https://example.com", "headersHelper": "./token.sh"}, "headersHelper"),
    ],
)
def test_what_only_another_client_can_do_is_said_where_it_is_used(
    paths: Paths, entry: dict[str, str], words: str
) -> None:
    configure(paths, {"far": entry, "near": {"command": "x", "disabled": True}})
    server = find_server(paths, "far")
    assert words in server.problem
    assert server.cure
    assert find_server(paths, "near").disabled


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ({"files": {}}, "files needs a command or a url"),
        ({"files": {"command": "x", "url": "http://y"}}, "files needs a command or a url"),
        ({"../x": {"command": "x"}}, "'../x' cannot be used"),
        ({"memory": {"command": "x"}}, "the name memory belongs to"),
        ({"files": {"command": ["x"]}}, "command"),
        ({"files": {"command": "x", "args": "y"}}, "args"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(
    paths: Paths, servers: dict[str, Any], words: str
) -> None:
    configure(paths, servers)
    with pytest.raises(SettingsError, match=words):
        load_servers(paths)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"servers": {}}', '{"mcpServers": []}'])
def test_a_file_of_another_shape_is_named(paths: Paths, text: str) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.servers_file.write_text(text)
    with pytest.raises(SettingsError, match=r"servers\.json"):
        load_servers(paths)


def test_an_unknown_server_names_the_nearest(paths: Paths) -> None:
    configure(paths, {"github": {"command": "x"}})
    with pytest.raises(UnknownServer) as caught:
        find_server(paths, "guthub")
    assert caught.value.cure == "Did you mean github?"
    with pytest.raises(UnknownServer) as caught:
        find_server(paths, "zzz")
    assert "memory, github" in caught.value.cure


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("", ["/usr/bin/my server.py", "x"], "my-server"),
        ("", ["node"], "node"),
        ("given", ["node"], "given"),
        ("", ["…"], "server"),
        (
            "",
            ["npx", "-y", "@modelcontextprotocol/server-filesystem", "~/work"],
            "server-filesystem",
        ),
        ("", ["npx", "-y", "@scope/server-git@1.2.3-rc.1"], "server-git"),
        ("", ["uvx", "--from", "mcp-server-time==2.0", "serve"], "mcp-server-time"),
        ("", ["/usr/bin/python3.11", "-u", "/opt/a b/my_server.py"], "python3"),
        ("", ["python", "-u", "/opt/ab/my_server.v2.py"], "my_server.v2"),
        ("", ["python", "-m", "mcp_server_git"], "mcp_server_git"),
        ("", ["python", "-c", "import x; x.run()"], "python"),
        ("", ["deno", "run", "-A", "jsr:@a/b@1"], "b"),
        ("", ["docker", "run", "-i", "-e", "KEY", "-v", "/a:/b", "ghcr.io/x/y-mcp:1.0"], "y-mcp"),
        ("given", ["npx", "-y", "other"], "given"),
    ],
)
def test_a_command_by_hand_is_named_after_what_it_starts(
    name: str, command: list[str], expected: str
) -> None:
    server = server_of_command(name, command)
    assert (server.name, server.command, server.args) == (expected, command[0], tuple(command[1:]))


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("", "https://mcp.example.com/x?y", "mcp.example.com"),
        ("", "http://[::1]:80/", "server"),
        ("given", "https://h/", "given"),
        ("", "nonsense", "server"),
    ],
)
def test_a_url_by_hand_is_named_after_its_host(name: str, url: str, expected: str) -> None:
    server = server_of_url(name, url, {"A": "b"})
    assert (server.name, server.url, server.headers) == (expected, url, {"A": "b"})


def test_headers_by_hand_are_read_and_a_slip_is_named_without_the_value() -> None:
    assert read_headers(["A: b:c", "D:e "]) == {"A": "b:c", "D": "e"}
    for slip in ("s3cret", ": s3cret"):
        with pytest.raises(UsageError) as caught:
            read_headers([slip])
        assert "s3cret" not in str(caught.value)


def test_the_sample_is_read_and_can_be_started(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.servers_file.write_bytes(bundled("config", "servers.json").read_bytes())
    servers = load_servers(paths)
    assert list(servers) == ["memory", "files", "git", "far"]
    monkeypatch.setenv("HOME", "/home/ada")
    assert prepared(servers["git"], {"HOME": "/home/ada"}).cwd == Path("/home/ada/work")
    assert servers["far"].disabled
    assert not any(server.problem for server in servers.values())


def test_a_command_by_hand_cannot_pass_for_the_memory() -> None:
    with pytest.raises(PktuiError, match="belongs to"):
        server_of_command("", ["/opt/memory"])
