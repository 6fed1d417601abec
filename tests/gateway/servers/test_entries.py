# ruff: noqa: E501  an entry a line
"""The configured servers, and what is said where an entry or the list cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.errors import SettingsError, UnknownServer, UsageError
from pktui.gateway.servers.entries import ServerEntry, find_server, load_servers
from pktui.gateway.servers.expand import prepared
from pktui.gateway.servers.url import read_headers
from pktui.policy.selection import Selection
from pktui.settings import Paths, bundled


def put(paths: Paths, text: str) -> None:
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    paths.servers_file.write_text(text, encoding="utf-8")


def configure(paths: Paths, servers: dict[str, Any]) -> None:
    put(paths, json.dumps({"mcpServers": servers}))


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
    ("entry", "words"),
    [
        ({}, "it needs a command or a url"),
        ({"command": "x", "url": "http://y"}, "it needs a command or a url"),
        ({"command": 7}, "command is a number, not text"),
        ({"command": "x", "args": "y"}, "args is text, not a list"),
        ({"command": "x", "args": ["y", None]}, r"args\[1\] is null, not text"),
        ({"command": "x", "env": []}, "env is a list, not an object"),
        ({"command": "x", "env": {"A": {}}}, r"env\.A is an object, not text"),
        ({"command": "x", "disabled": "true"}, "disabled is text, not true or false"),
        ({"command": "x", "excludeTools": "rm"}, "excludeTools is text, not a list"),
        ({"command": "x", "tools": {"rm": 0}}, "rm is a number, not true or false"),
        ({"command": []}, "it needs a command"),
        ({"url": ["http://y"]}, "url is a list, not text"),
        ({"args": ["y"], "url": "http://y"}, "it has args and no command"),
        ("npx", "it is text, not an object"),
        (None, "it is null, not an object"),
    ],
)
def test_an_entry_no_server_can_be_made_of_harms_nothing_but_itself(
    paths: Paths, entry: Any, words: str
) -> None:
    configure(paths, {"good": {"command": "x"}, "bad": entry, "better": {"command": "y"}})
    servers = load_servers(paths)
    assert list(servers) == ["memory", "good", "better"]
    (fault,) = servers.faults
    assert (fault.name, fault.line) == ("bad", 1)
    assert fault.cure
    with pytest.raises(SettingsError, match=f"line 1: server 'bad': .*{words}"):
        find_server(paths, "bad")
    assert find_server(paths, "memory").builtin


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My Notes", "cannot be that of a file"),
        ("@scope/notes", "cannot be that of a file"),
        ("../x", "cannot be that of a file"),
        ("n" * 65, "cannot be that of a file"),
        ("\u0430bc", "cannot be that of a file"),
        ("", "cannot be that of a file"),
        ("memory", "belongs to pktui's own memory"),
        ("Memory", "belongs to pktui's own memory"),
        ("GOOD", "only case tells its name from 'good'"),
    ],
)
def test_a_name_no_server_can_have_harms_nothing_but_itself(
    paths: Paths, name: str, words: str
) -> None:
    configure(paths, {"good": {"command": "x"}, name: {"command": "evil"}})
    servers = load_servers(paths)
    assert list(servers) == ["memory", "good"]
    assert servers["memory"].builtin
    assert words in servers.faults[0].what


def test_each_fault_has_the_line_of_the_member_at_fault(paths: Paths) -> None:
    put(
        paths,
        """{
      "mcpServers": {
        "good": {"command": "x"},
        "port": {
          "command": "x",
          "env": {
            "PORT": ["5432"]
          }
        },
        "My Notes": {"command": "x"},
        "twice": {"command": "x"},
        "twice": {"command": "y"},
        "inner": {
          "command": "x",
          "command": "y"
        }
      }
    }""",
    )
    servers = load_servers(paths)
    assert list(servers) == ["memory", "good"]
    assert [(fault.name, fault.line) for fault in servers.faults] == [
        ("port", 7), ("My Notes", 10), ("twice", 11), ("twice", 12), ("inner", 13),
    ]  # fmt: skip
    assert "occurs twice (line 15)" in servers.faults[-1].what


@pytest.mark.parametrize(
    ("text", "line"),
    [("", 1), ("{", 1), ("[]", 1), ("{}", 1), ('{"mcpServers": []}', 1), ("{\n  nonsense\n}", 2),
     ('{"mcpServers": {} /* open', 1), ('{"files": {"command": "x"}}', 1)],
)  # fmt: skip
def test_a_file_no_list_can_be_made_of_leaves_the_memory(
    paths: Paths, text: str, line: int
) -> None:
    put(paths, text)
    servers = load_servers(paths)
    assert (list(servers), servers.whole) == (["memory"], False)
    assert servers.faults[0].line == line
    with pytest.raises(SettingsError, match=r"servers\.json, line"):
        find_server(paths, "files")


@pytest.mark.parametrize("raw", [b"\xff\xfe{\x00", b'{"mcpServers": {"\xe9": 1}}'])
def test_a_file_that_is_not_utf8_says_so(paths: Paths, raw: bytes) -> None:
    put(paths, "")
    paths.servers_file.write_bytes(raw)
    (fault,) = load_servers(paths).faults
    assert "UTF-" in fault.what
    assert "UTF-8" in fault.cure


@pytest.mark.parametrize("key", ["mcpServers", "servers", "mcp", "mcp_servers", "context_servers"])
def test_a_list_is_read_under_the_name_each_client_gives_it(paths: Paths, key: str) -> None:
    put(paths, json.dumps({"$schema": "x", "inputs": [], key: {"servers": {"command": "x"}}}))
    assert list(load_servers(paths)) == ["memory", "servers"]
    assert not load_servers(paths).faults


def test_the_servers_of_vs_codes_settings_are_read(paths: Paths) -> None:
    put(paths, json.dumps({"editor": 1, "mcp": {"inputs": [], "servers": {"a": {"command": "x"}}}}))
    assert list(load_servers(paths)) == ["memory", "a"]


def test_comments_commas_and_a_byte_order_mark_are_taken(paths: Paths) -> None:
    put(
        paths,
        """\ufeff{
      // mine
      "mcpServers": {
        "a": {"command": "x", "args": ["http://y", "/* no */", ], }, // the first
        /* "b": {"command": "x"}, */
      },
    }""",
    )
    servers = load_servers(paths)
    assert list(servers) == ["memory", "a"]
    assert servers["a"].args == ("http://y", "/* no */")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (  # opencode
            {"type": "local", "command": ["npx", "-y", "x"], "environment": {"A": "1"}, "enabled": True},
            ServerEntry("s", "npx", ("-y", "x"), {"A": "1"}),
        ),
        (
            {"type": "remote", "url": "https://h/mcp", "enabled": False},
            ServerEntry("s", url="https://h/mcp", disabled=True),
        ),
        (  # null for what it has not, numbers for text
            {"command": "x", "args": ["--port", 8080], "env": {"PORT": 5432, "F": 1.50, "N": None,
             "B": True}, "cwd": None, "url": None, "headers": None, "disabled": None, "type": None},
            ServerEntry("s", "x", ("--port", "8080"), {"PORT": "5432", "F": "1.5", "B": "true"}),
        ),
        (  # Codex
            {"url": "https://h/mcp", "bearer_token_env_var": "TOKEN", "http_headers": {"X-A": "b"},
             "env_http_headers": {"X-K": "KEY"}, "disabled_tools": ["rm"]},
            ServerEntry("s", url="https://h/mcp", tools=Selection(frozenset({"rm"})), headers={
                "X-A": "b", "X-K": "${KEY}", "Authorization": "Bearer ${TOKEN}"}),
        ),
        (  # Gemini CLI
            {"httpUrl": "https://h/mcp", "trust": True, "includeTools": ["a", "b(ls)"],
             "excludeTools": ["b"]},
            ServerEntry("s", url="https://h/mcp",
                        tools=Selection(frozenset({"b"}), frozenset({"a", "b"}))),
        ),
        (  # Copilot
            {"type": "local", "command": "x", "tools": ["*"]},
            ServerEntry("s", "x"),
        ),
        ({"command": "x", "tools": []}, ServerEntry("s", "x", tools=Selection(only=frozenset()))),
        (
            {"command": "x", "tools": {"a": True, "b": False}},
            ServerEntry("s", "x", tools=Selection(frozenset({"b"}))),
        ),
        (  # Zed
            {"source": "custom", "command": {"path": "x", "args": ["y"], "env": {"A": "b"}}},
            ServerEntry("s", "x", ("y",), {"A": "b"}),
        ),
    ],
)  # fmt: skip
def test_an_entry_of_any_client_is_read(
    paths: Paths, entry: dict[str, Any], expected: ServerEntry
) -> None:
    configure(paths, {"s": entry})
    assert load_servers(paths).faults == ()
    assert find_server(paths, "s") == expected


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)
MEMBERS = st.sampled_from(
    ["command", "args", "env", "environment", "url", "headers", "disabled", "enabled", "tools",
     "excludeTools", "type", "transport", "cwd", "envFile", "headersHelper", "anything"]
)  # fmt: skip


@given(
    st.dictionaries(
        st.text(max_size=6), ODD | st.dictionaries(MEMBERS, ODD, max_size=5), max_size=4
    )
)
def test_whatever_stands_beside_it_a_good_entry_is_there(entries: dict[str, Any]) -> None:
    with TemporaryDirectory() as place:
        paths = Paths.at(Path(place), Path(place))
        configure(paths, {**entries, "good": {"command": "x"}})
        servers = load_servers(paths)
        assert servers["good"] == ServerEntry("good", "x")
        assert servers["memory"].builtin
        named = {fault.name for fault in servers.faults} | set(servers)
        assert set(entries) <= named


def test_an_unknown_server_names_the_nearest(paths: Paths) -> None:
    configure(paths, {"github": {"command": "x"}})
    with pytest.raises(UnknownServer) as caught:
        find_server(paths, "guthub")
    assert caught.value.cure == "Did you mean github?"
    with pytest.raises(UnknownServer) as caught:
        find_server(paths, "zzz")
    assert "memory, github" in caught.value.cure


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
