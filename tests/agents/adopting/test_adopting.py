from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from pktui import jsonc
from pktui.agents.adopting import Plan, carry_out, plan_adoption, plan_release
from pktui.agents.adopting import plan as plan_module
from pktui.agents.clients import Places
from pktui.agents.discovery import find_agents, find_configs
from pktui.errors import PktuiError
from pktui.files import write_whole
from pktui.memory.followed import followed
from pktui.settings import Paths

CLAUDE = """{
  // mine
  "numStartups": 5,
  "mcpServers": {
    "raw": {"command": "/usr/bin/python3", "args": ["raw.py"], "env": {"A": "1"}}, // here
    "bad": {"command": 5},
    "off": {"command": "x", "disabled": true},
  },
  "projects": {"/shop": {"mcpServers": {"loc": {"command":"npx"}}, "x": 1}}, "odd" :   [1,2 ]
}"""
CODEX = """# top
model = "m"   # keep

[mcp_servers.raw]
command = "python3"
args = ["raw.py"]   # why
env_vars = ["TOKEN"]
[mcp_servers.raw.tools.echo]
approval_mode = "prompt"

# of the other
[mcp_servers.other]
url = "https://host/mcp"
bearer_token_env_var = "T"

[tui]
theme = "x"
"""
OPENCODE = """{"$schema": "https://opencode.ai/config.json",
\t"mcp": {
\t\t"raw": {"type": "local", "command": ["python3", "raw.py"], "timeout": 9000}
\t}
}
"""
GEMINI = '{"a":{"b":1},"mcpServers":{"raw":{"command":"python3","args":["raw.py"],"trust":false}}}'
HOOKED = """{
  "model": "x",
  "hooks": {
    "PreToolUse": [
      {"matcher": "Bash", "hooks": [{"type": "command", "command": "mine"}]}
    ]
  }
}
"""
FILES = {
    ".claude.json": CLAUDE,
    ".claude/settings.json": HOOKED,
    ".codex/config.toml": CODEX,
    ".codex/hooks.json": "{}",
    ".config/opencode/opencode.json": OPENCODE,
    ".gemini/settings.json": GEMINI,
    ".cursor/mcp.json": '{"mcpServers": {"raw": {"command": "x"}}}',
}
VARIANTS = {
    "plain": lambda text: text.encode(),
    "windows": lambda text: text.replace("\n", "\r\n").encode(),
    "marked": lambda text: b"\xef\xbb\xbf" + text.encode(),
}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    home = tmp_path / "home"
    home.mkdir()
    return Places(home, tmp_path / "shop")


def put(places: Places, name: str, raw: bytes) -> Path:
    file = places.home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(raw)
    return file


def everything(places: Places) -> dict[str, bytes]:
    return {
        str(file.relative_to(places.home)): file.read_bytes()
        for file in places.home.rglob("*")
        if file.is_file()
    }


def adopt(paths: Paths, places: Places, **options: Any) -> Plan:
    plan = plan_adoption(paths, places, **options)
    assert [done.problem for done in carry_out(plan)] == [""] * len(plan.changes)
    return plan


def release(paths: Paths, places: Places) -> Plan:
    plan = plan_release(paths, places)
    assert [done.problem for done in carry_out(plan)] == [""] * len(plan.changes)
    return plan


@pytest.fixture(params=VARIANTS)
def before(request: pytest.FixtureRequest, places: Places) -> dict[str, bytes]:
    for name, text in FILES.items():
        put(places, name, VARIANTS[request.param](text))
    return everything(places)


def test_all_go_through_pktui_and_are_put_back_to_the_byte(
    paths: Paths, places: Places, before: dict[str, bytes]
) -> None:
    adopt(paths, places)
    for finding in find_configs(places):
        known = {server.name: server.behind_pktui for server in finding.servers}
        assert known.pop("bad", False) is False
        assert known.pop("off", False) is False
        assert all(known.values())
        assert known
    assert set(followed(paths)) == {"claude-code", "codex", "gemini", "opencode"}
    release(paths, places)
    assert everything(places) == before
    assert not paths.servers_file.exists()
    assert not paths.adopted_file.exists()
    assert followed(paths) == {}


def test_what_is_around_keeps_every_byte(
    paths: Paths, places: Places, before: dict[str, bytes]
) -> None:
    adopt(paths, places)
    for name in (".claude.json", ".codex/config.toml", ".config/opencode/opencode.json"):
        now = (places.home / name).read_bytes()
        assert before[name].count(b"\r\n") == 0 or now.count(b"\n") == now.count(b"\r\n")
        assert now.startswith(b"\xef\xbb\xbf") == before[name].startswith(b"\xef\xbb\xbf")
    claude = (places.home / ".claude.json").read_bytes()
    for kept in (b"// mine", b"// here", b'"odd" :   [1,2 ]', b'"bad": {"command": 5}'):
        assert kept in claude
    codex = (places.home / ".codex/config.toml").read_bytes()
    for kept in (b"# top", b'model = "m"   # keep', b'approval_mode = "prompt"'):
        assert kept in codex
    assert b"# of the other" in codex.split(b"[mcp_servers.other]")[0].rstrip().splitlines()[-1]


def test_two_adopts_are_one(paths: Paths, places: Places, before: dict[str, bytes]) -> None:
    adopt(paths, places)
    once = everything(places)
    assert plan_adoption(paths, places).empty
    adopt(paths, places)
    assert everything(places) == once
    release(paths, places)
    assert everything(places) == before


def test_codex_gets_what_it_needs(paths: Paths, places: Places) -> None:
    put(places, ".codex/config.toml", CODEX.encode())
    adopt(paths, places)
    servers = tomllib.loads((places.home / ".codex/config.toml").read_text())["mcp_servers"]
    assert servers["raw"]["env"] == {
        "PKTUI_CONFIG_DIR": str(paths.config_dir),
        "PKTUI_DATA_DIR": str(paths.data_dir),
    }
    assert servers["raw"]["required"] is True
    assert servers["raw"]["default_tools_approval_mode"] == "approve"
    assert servers["raw"]["env_vars"] == ["TOKEN"]
    assert "url" not in servers["other"]
    assert "bearer_token_env_var" not in servers["other"]


def rewritten(name: str, raw: bytes) -> bytes:
    """Return a config as an agent writes it anew, and with something of its own."""
    if name.endswith(".toml"):
        whole = tomllib.loads(raw.decode())
        return tomlkit.dumps({**whole, "notice": {"seen": True}}).encode()
    return json.dumps({**jsonc.plain(raw), "tipsHistory": {"seen": 1}}, indent=4).encode()


def test_after_an_agent_wrote_its_file_only_our_entries_go(paths: Paths, places: Places) -> None:
    for name, text in FILES.items():
        put(places, name, text.encode())
    was = {name: _plain(name, text.encode()) for name, text in FILES.items()}
    adopt(paths, places)
    for name in FILES:
        put(places, name, rewritten(name, (places.home / name).read_bytes()))
    release(paths, places)
    for name in FILES:
        now = _plain(name, (places.home / name).read_bytes())
        assert now.pop("notice", None) or now.pop("tipsHistory", None)
        assert now == was[name]


def _plain(name: str, raw: bytes) -> Any:
    return tomllib.loads(raw.decode()) if name.endswith(".toml") else jsonc.plain(raw)


def test_adopting_again_after_a_rewrite_can_be_taken_back(paths: Paths, places: Places) -> None:
    file = put(places, ".claude.json", CLAUDE.encode())
    adopt(paths, places)
    whole = jsonc.plain(file.read_bytes())
    whole["mcpServers"]["new"] = {"command": "new"}
    file.write_text(json.dumps(whole))
    adopt(paths, places)
    assert all(
        server.behind_pktui
        for finding in find_configs(places)
        for server in finding.servers
        if server.name in ("raw", "new")
    )
    release(paths, places)
    now = jsonc.plain(file.read_bytes())
    assert now["mcpServers"].pop("new") == {"command": "new"}
    assert now == jsonc.plain(CLAUDE.encode())


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        (".claude.json", b'{"mcpServers": {"raw": {"command": "x"}}'),
        (".claude.json", b'{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}'),
        (".claude.json", b"[]"),
        (".claude.json", b"\xff\xfe{\x00}\x00"),
        (".claude/settings.json", b'{"hooks": {"PreToolUse": {}}}'),
        (".codex/config.toml", b'[mcp_servers.a]\ncommand = "x"\ncommand = "y"\n'),
        (".codex/config.toml", b"\xff"),
        (".codex/hooks.json", b"{"),
        (".gemini/settings.json", b'{"mcpServers": {"a": {"command": "x"}}} x'),
        (".config/opencode/plugin/pktui.js", b"// not ours"),
    ],
)
def test_what_cannot_be_understood_is_left_alone_and_named(
    paths: Paths, places: Places, name: str, raw: bytes
) -> None:
    file = put(places, name, raw)
    plan = adopt(paths, places)
    assert file.read_bytes() == raw
    assert any(str(file) in problem for problem in plan.problems)
    release(paths, places)
    assert file.read_bytes() == raw


def test_exact_numbers_are_moved_and_put_back(paths: Paths, places: Places) -> None:
    text = '{"mcpServers": {"raw": {"command": "x", "timeout": 0.1, "most": 1e3}}}'
    file = put(places, ".claude.json", text.encode())
    adopt(paths, places)
    moved = json.loads(paths.servers_file.read_bytes())["mcpServers"]["raw"]
    assert moved == {"command": "x", "timeout": 0.1, "most": 1000}
    file.write_bytes(rewritten(".claude.json", file.read_bytes()))
    release(paths, places)
    assert json.loads(file.read_bytes())["mcpServers"]["raw"] == moved
    assert not paths.servers_file.exists()


@pytest.mark.parametrize("value", ["2026-01-01", "nan", "[{ at = 10:00:00 }]"])
def test_what_json_cannot_hold_stays_and_harms_no_other(
    value: str, paths: Paths, places: Places
) -> None:
    text = f'[mcp_servers.odd]\ncommand = "y"\nsince = {value}\n'
    codex = put(places, ".codex/config.toml", text.encode())
    put(places, ".cursor/mcp.json", CURSOR.encode())
    plan = adopt(paths, places, clients=("codex", "cursor"))
    assert "server 'odd' stays as it is: it holds a value" in plan.notes[0]
    assert codex.read_text() == text
    assert list(json.loads(paths.servers_file.read_bytes())["mcpServers"]) == ["raw"]


def test_hooks_are_added_all_or_none(paths: Paths, places: Places) -> None:
    text = (
        '{"mcpServers": {"raw": {"command": "x"}}, "hooks": {"BeforeTool": null, "AfterAgent": {}}}'
    )
    file = put(places, ".gemini/settings.json", text.encode())
    plan = adopt(paths, places)
    assert f"{file} gets no hooks: hooks.AfterAgent is no list" in plan.problems[0]
    written = json.loads(file.read_bytes())
    assert written["hooks"] == {"BeforeTool": None, "AfterAgent": {}}
    assert written["mcpServers"]["raw"]["args"] == ["gateway", "raw"]


@pytest.mark.parametrize("again", [False, True])
def test_a_hook_that_somebody_put_beside_ours_stays(
    again: bool, paths: Paths, places: Places
) -> None:
    file = put(places, ".claude/settings.json", b"{}")
    adopt(paths, places)
    settings = json.loads(file.read_bytes())
    mine = {"type": "command", "command": "mine"}
    settings["hooks"]["PreToolUse"][0]["hooks"].append(mine)
    file.write_text(json.dumps(settings, indent=2))
    if again:
        adopt(paths, places)
        groups = json.loads(file.read_bytes())["hooks"]["PreToolUse"]
        assert len(groups) == 2
        assert mine in groups[0]["hooks"]
        assert "pktui" in json.dumps(groups[1])
    release(paths, places)
    left = {"PreToolUse": [{"matcher": "*", "hooks": [mine]}]}
    assert json.loads(file.read_bytes()) == {"hooks": left}


def test_links_that_go_round_are_named(paths: Paths, places: Places) -> None:
    put(places, ".claude/x", b"")
    (places.home / ".claude" / "settings.json").symlink_to("settings.json")
    (problem,) = plan_adoption(paths, places).problems
    assert "settings.json is left alone: Too many" in problem


def test_a_file_that_changes_after_planning_loses_nothing(paths: Paths, places: Places) -> None:
    file = put(places, ".claude.json", CLAUDE.encode())
    plan = plan_adoption(paths, places)
    file.write_text(CLAUDE.replace('"numStartups": 5', '"numStartups": 6'))
    assert not any(done.problem for done in carry_out(plan))
    now = jsonc.plain(file.read_bytes())
    assert now["numStartups"] == 6
    assert now["mcpServers"]["raw"]["args"] == ["gateway", "raw"]


def test_equal_servers_share_a_name_and_others_get_their_own(paths: Paths, places: Places) -> None:
    put(
        places,
        ".claude.json",
        b'{"mcpServers": {"a": {"command": "x"}, "codex": {"command": "y"}}}',
    )
    put(places, ".gemini/settings.json", b'{"mcpServers": {"a": {"command": "x"}}}')
    put(
        places,
        ".cursor/mcp.json",
        b'{"mcpServers": {"a": {"command": "z"}, "b c": {"command": "w"}}}',
    )
    adopt(paths, places)
    servers = json.loads(paths.servers_file.read_text())["mcpServers"]
    assert {name: entry["command"] for name, entry in servers.items()} == {
        "a": "x", "codex-claude-code": "y", "a-cursor": "z", "b-c": "w",
    }  # fmt: skip


def test_a_server_file_of_a_person_keeps_what_it_has(paths: Paths, places: Places) -> None:
    paths.config_dir.mkdir(parents=True)
    text = '{\n  // mine\n  "mcpServers": {\n    "a": {"command": "own"}\n  }\n}\n'
    paths.servers_file.write_text(text)
    put(places, ".claude.json", b'{"mcpServers": {"a": {"command": "x"}}}')
    adopt(paths, places)
    assert set(jsonc.plain(paths.servers_file.read_bytes())["mcpServers"]) == {"a", "a-claude-code"}
    release(paths, places)
    assert paths.servers_file.read_text() == text


def test_hooks_can_be_left_out(paths: Paths, places: Places) -> None:
    put(places, ".claude.json", CLAUDE.encode())
    put(places, ".claude/settings.json", HOOKED.encode())
    adopt(paths, places, hooks=False)
    assert (places.home / ".claude/settings.json").read_text() == HOOKED


def test_a_projects_files_are_adopted_when_asked(paths: Paths, places: Places) -> None:
    (places.project).mkdir()
    file = places.project / ".mcp.json"
    file.write_text('{"mcpServers": {"a": {"command": "x"}}}')
    adopt(paths, places, clients=("claude-code",))
    assert "pktui" not in file.read_text()
    adopt(paths, places, clients=("claude-code",), project=True)
    assert "gateway" in file.read_text()
    release(paths, places)
    assert file.read_text() == '{"mcpServers": {"a": {"command": "x"}}}'


def test_a_link_stays_a_link(paths: Paths, places: Places, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text(CLAUDE)
    real.chmod(0o640)
    (places.home / ".claude.json").symlink_to(real)
    adopt(paths, places)
    assert (places.home / ".claude.json").is_symlink()
    assert "gateway" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640
    release(paths, places)
    assert real.read_text() == CLAUDE


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_file_that_cannot_be_written_harms_no_other(paths: Paths, places: Places) -> None:
    put(places, ".claude.json", CLAUDE.encode())
    locked = put(places, ".gemini/settings.json", GEMINI.encode())
    locked.parent.chmod(0o500)
    done = carry_out(plan_adoption(paths, places))
    locked.parent.chmod(0o700)
    assert [one.path for one in done if one.problem] == [locked]
    release(paths, places)
    assert locked.read_text() == GEMINI
    assert (places.home / ".claude.json").read_text() == CLAUDE


CURSOR = FILES[".cursor/mcp.json"]
WRITERS = (
    "pktui.agents.adopting.carrying_out",
    "pktui.agents.adopting.record",
    "pktui.memory.followed",
)


class Killed(BaseException):
    """The process ends here."""


def stop(monkeypatch: pytest.MonkeyPatch, error: BaseException, at: Path | int) -> None:
    """Have a write fail: that of a file, or the one that follows so many."""
    written: list[Path] = []

    def write(path: Path, data: bytes, **more: Any) -> None:
        if path == at or len(written) == at:
            raise error
        written.append(path)
        write_whole(path, data, **more)

    for module in WRITERS:
        monkeypatch.setattr(f"{module}.write_whole", write)


def test_what_two_plan_at_the_same_time_is_all_taken_back(paths: Paths, places: Places) -> None:
    cursor = put(places, ".cursor/mcp.json", CURSOR.encode())
    hooks = put(places, ".codex/hooks.json", b"{}")
    adopt(paths, places, clients=("claude-code",))
    plans = [plan_adoption(paths, places, (one,)) for one in ("cursor", "codex")]
    for plan in plans:
        carry_out(plan)
    assert "gateway" in cursor.read_text()
    assert "pktui" in hooks.read_text()
    release(paths, places)
    assert (cursor.read_text(), hooks.read_text()) == (CURSOR, "{}")
    assert not paths.servers_file.exists()


def test_no_agent_is_led_to_servers_that_could_not_be_written(
    paths: Paths, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = put(places, ".cursor/mcp.json", CURSOR.encode())
    with monkeypatch.context() as full:
        stop(full, OSError(28, "No space left"), paths.servers_file)
        done = {one.path: one.problem for one in carry_out(plan_adoption(paths, places))}
    assert "No space left" in done[paths.servers_file]
    assert str(paths.servers_file) in done[cursor]
    assert cursor.read_text() == CURSOR
    adopt(paths, places)
    release(paths, places)
    assert cursor.read_text() == CURSOR


def test_servers_stay_while_an_agent_could_not_be_released(
    paths: Paths, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = put(places, ".cursor/mcp.json", CURSOR.encode())
    adopt(paths, places)
    before = paths.servers_file.read_bytes()
    with monkeypatch.context() as full:
        stop(full, OSError(28, "No space left"), cursor)
        done = carry_out(plan_release(paths, places))
    assert {one.path for one in done if one.problem} == {cursor, paths.servers_file}
    assert paths.servers_file.read_bytes() == before
    release(paths, places)
    assert cursor.read_text() == CURSOR
    assert not paths.servers_file.exists()


@pytest.mark.parametrize("way", [plan_adoption, plan_release])
@pytest.mark.parametrize("at", range(12))
def test_a_process_that_is_killed_loses_nothing(
    way: Callable[[Paths, Places], Plan],
    at: int,
    paths: Paths,
    places: Places,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {name: FILES[name].encode() for name in (".cursor/mcp.json", ".codex/config.toml")}
    files = [put(places, name, raw) for name, raw in before.items()]
    if way is plan_release:
        adopt(paths, places)
    with monkeypatch.context() as killed:
        stop(killed, Killed(), at)
        with suppress(Killed):
            carry_out(way(paths, places))
    servers = paths.servers_file.read_text() if paths.servers_file.exists() else ""
    assert '"raw"' in servers or not any("gateway" in file.read_text() for file in files)
    if way is plan_adoption:
        adopt(paths, places)
    release(paths, places)
    assert everything(places) == before
    assert not paths.servers_file.exists()


def test_an_unknown_agent_is_named(paths: Paths, places: Places) -> None:
    with pytest.raises(PktuiError, match="nobody"):
        plan_adoption(paths, places, ("nobody",))


def test_nothing_here_is_nothing_to_do(paths: Paths, places: Places) -> None:
    plan = plan_adoption(paths, places)
    assert [change.path.name for change in plan.changes] in ([], ["_paths.json"])


@pytest.fixture
def elsewhere(tmp_path: Path) -> Paths:
    """Directories that another terminal uses."""
    return Paths.at(tmp_path / "other" / "config", tmp_path / "other" / "data")


def test_another_terminal_takes_its_servers_over_and_gives_them_back(
    paths: Paths, elsewhere: Paths, places: Places, before: dict[str, bytes]
) -> None:
    adopt(paths, places)
    first, servers = everything(places), json.loads(paths.servers_file.read_bytes())
    plan = adopt(elsewhere, places)
    assert json.loads(elsewhere.servers_file.read_bytes()) == servers
    assert any("taken over from" in note for note in plan.notes)
    for agent in find_agents(elsewhere, places):
        assert agent.directories <= {str(elsewhere.config_dir), str(elsewhere.data_dir)}
    assert adopt(elsewhere, places).empty
    release(elsewhere, places)
    assert everything(places) == first
    assert not elsewhere.servers_file.exists()
    release(paths, places)
    assert everything(places) == before


def test_a_server_that_is_taken_over_never_takes_the_place_of_another(
    paths: Paths, elsewhere: Paths, places: Places
) -> None:
    put(places, ".claude.json", b'{"mcpServers": {"raw": {"command": "x"}}}')
    put(places, ".config/opencode/opencode.json", b'{"mcp": {"raw": {"command": ["x"]}}}')
    adopt(paths, places)
    elsewhere.config_dir.mkdir(parents=True)
    elsewhere.servers_file.write_text('{"mcpServers": {"raw": {"command": "mine"}}}')
    adopt(elsewhere, places)
    held = json.loads(elsewhere.servers_file.read_bytes())["mcpServers"]
    assert held["raw"] == {"command": "mine"}
    for finding in find_configs(places):
        (server,) = finding.servers
        name = server.command[server.command.index("gateway") + 1]
        assert name != "raw"
        assert held[name]["command"] in ("x", ["x"])


def test_an_entry_whose_server_is_nowhere_is_named_and_left(
    paths: Paths, elsewhere: Paths, places: Places
) -> None:
    put(
        places,
        ".claude.json",
        b'{"mcpServers": {"raw": {"command": "x"}, "good": {"command": "y"}}}',
    )
    adopt(paths, places)
    paths.servers_file.write_text('{"mcpServers": {"good": {"command": "y"}}}')
    plan = adopt(elsewhere, places)
    assert [f"{paths.servers_file} has no server raw" in one for one in plan.problems] == [True]
    (finding,) = find_configs(places)
    named = {server.name: server.env["PKTUI_CONFIG_DIR"] for server in finding.servers}
    assert named == {"raw": str(paths.config_dir), "good": str(elsewhere.config_dir)}


def test_an_entry_by_hand_leads_to_its_server_in_the_default_directory(
    elsewhere: Paths, places: Places
) -> None:
    put(
        places,
        ".claude.json",
        b'{"mcpServers": {"r": {"command": "pktui", "args": ["gateway", "raw"]}}}',
    )
    default = Paths.at(places.home / plan_module._DEFAULT_CONFIG, places.home / "data")
    default.config_dir.mkdir(parents=True)
    default.servers_file.write_text('{"servers": {"raw": {"command": "x"}}}')
    adopt(elsewhere, places)
    held = json.loads(elsewhere.servers_file.read_bytes())["mcpServers"]
    assert held == {"raw": {"command": "x"}}
