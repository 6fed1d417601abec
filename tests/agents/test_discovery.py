from __future__ import annotations

from pathlib import Path

import pytest

from pktui.agents.clients import Places
from pktui.agents.discovery import ConfiguredServer, Finding, find_configs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "shop"


def put(root: Path, name: str, text: str | bytes) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)


def only(home: Path, project: Path) -> Finding:
    (finding,) = find_configs(Places(home, project))
    return finding


def test_nothing_configured_finds_nothing(home: Path, project: Path) -> None:
    assert find_configs(Places(home, project)) == ()


@pytest.mark.parametrize(
    ("client", "name", "text"),
    [
        ("claude-code", ".claude.json", '{"mcpServers": {"s": {"command": "x", "args": ["1"]}}}'),
        ("opencode", ".config/opencode/opencode.json", '{"mcp": {"s": {"command": ["x", "1"]}}}'),
        (
            "opencode",
            ".config/opencode/opencode.jsonc",
            '{// mine\n"mcp": {"s": {"type": "local", "command": ["x", "1"],},},}',
        ),
        ("codex", ".codex/config.toml", '[mcp_servers.s]\ncommand = "x"\nargs = ["1"]\n'),
        ("cursor", ".cursor/mcp.json", '{"mcpServers": {"s": {"command": "x", "args": ["1"]}}}'),
        ("gemini", ".gemini/settings.json", '{"mcpServers":{"s":{"command":"x","args":["1"]}}}'),
    ],
)
def test_each_agent_is_read_in_its_own_form(
    home: Path, project: Path, client: str, name: str, text: str
) -> None:
    put(home, name, text)
    finding = only(home, project)
    assert (finding.client.id, finding.level, finding.problem) == (client, "user", "")
    assert finding.servers == (ConfiguredServer("s", ("x", "1"), "", ""),)


def test_a_project_entry_in_the_users_file_names_its_directory(home: Path, project: Path) -> None:
    put(home, ".claude.json", '{"projects": {"/shop": {"mcpServers": {"s": {"url": "http://h"}}}}}')
    assert only(home, project).servers == (ConfiguredServer("s", (), "http://h", "/shop"),)


@pytest.mark.parametrize(
    ("command", "behind"),
    [
        (("pktui", "gateway", "memory"), True),
        (("/opt/venv/bin/pktui", "gateway"), True),
        (("python", "-m", "pktui", "gateway", "memory"), True),
        (("uvx", "pktui", "gateway", "memory"), True),
        (("uv", "tool", "run", "pktui", "gateway", "memory"), True),
        (("sh", "-c", "exec /opt/pktui gateway memory"), True),
        (("sh", "-c", "pktui gateway memory; evil"), False),
        (("sh", "-c", "pktui gateway memory $(evil)"), False),
        (("sh", "-c"), False),
        (("evil", "pktui", "gateway", "memory"), False),
        (("evil", "sh", "-c", "pktui gateway memory"), False),
        (("uvx", "--from", "evil", "pktui", "gateway"), False),
        (("python", "evil.py", "pktui", "gateway"), False),
        (("npx", "server-memory"), False),
        (("gateway", "pktui"), False),
        (("pktui", "memory"), False),
        ((), False),
    ],
)
def test_a_server_is_behind_pktui_when_its_command_is_the_gateway(
    command: tuple[str, ...], behind: bool
) -> None:
    assert ConfiguredServer("s", command, "", "").behind_pktui is behind


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{oops", "cannot be understood: line 1, column 2: a key is missing"),
        ("[1, 2]", "not an object"),
        (b"\xff\xfe\x00", "cannot be understood"),
        ("[" * 200_000, "cannot be understood"),
    ],
)
def test_a_file_that_makes_no_sense_is_reported(
    home: Path, project: Path, text: str | bytes, words: str
) -> None:
    put(project, ".mcp.json", text)
    finding = only(home, project)
    assert finding.level == "project"
    assert words in finding.problem


@pytest.mark.parametrize("entry", ["3", '"x"', "[]", "null", '{"command": 7, "args": "no"}'])
def test_odd_entries_do_not_hide_the_others(home: Path, project: Path, entry: str) -> None:
    put(project, ".mcp.json", f'{{"mcpServers": {{"odd": {entry}, "s": {{"command": "x"}}}}}}')
    odd, good = only(home, project).servers
    assert good == ConfiguredServer("s", ("x",), "", "")
    assert (odd.name, odd.command) == ("odd", ())
    assert odd.problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".claude.json", '{"mcpServers": {"s": {"command": "x", "disabled": true}}}'),
        (".config/opencode/opencode.json", '{"mcp": {"s": {"command": ["x"], "enabled": false}}}'),
        (".codex/config.toml", '[mcp_servers.s]\ncommand = "x"\nenabled = false\n'),
        (".cursor/mcp.json", '{"mcpServers": {"s": {"command": "x", "disabled": true}}, // it\n}'),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_server_that_is_switched_off_says_so(
    home: Path, project: Path, name: str, text: str, mark: str
) -> None:
    put(home, name, mark + text)
    assert only(home, project).servers == (ConfiguredServer("s", ("x",), "", "", disabled=True),)


def test_numbers_and_every_name_of_a_url_are_read(home: Path, project: Path) -> None:
    put(home, ".codex/config.toml", '[mcp_servers.s]\ncommand = "x"\nargs = [8080, 1.5]\n')
    put(home, ".cursor/mcp.json", '{"mcpServers": {"s": {"serverUrl": "http://h"}}}')
    codex, cursor = find_configs(Places(home, project))
    assert codex.servers == (ConfiguredServer("s", ("x", "8080", "1.5"), "", ""),)
    assert cursor.servers == (ConfiguredServer("s", (), "http://h", ""),)


def test_a_file_is_told_once_where_the_project_is_the_home_directory(home: Path) -> None:
    put(home, ".codex/config.toml", '[mcp_servers.s]\ncommand = "x"\n')
    assert only(home, home).level == "user"
