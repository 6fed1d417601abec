from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from pktui.agents.adopting import carry_out, plan_adoption
from pktui.agents.clients import KNOWN_CLIENTS, Places
from pktui.agents.discovery import around_pktui, find_agents
from pktui.agents.hook_state import hook_state

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

CLIENTS = {client.id: client for client in KNOWN_CLIENTS}
HOOKED = ("claude-code", "codex", "gemini", "opencode")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "home").mkdir()
    return Places(tmp_path / "home", tmp_path / "shop")


@pytest.fixture
def adopted(paths: Paths, places: Places) -> Places:
    carry_out(plan_adoption(paths, places, HOOKED))
    return places


def state(agent: str, places: Places) -> str:
    return hook_state(CLIENTS[agent], places)


@pytest.mark.parametrize("agent", HOOKED)
@pytest.mark.parametrize("device", ["/dev/zero", "pipe"])
def test_a_project_of_pipes_and_devices_is_looked_at_and_left(
    device: str, agent: str, paths: Paths, places: Places
) -> None:
    client = CLIENTS[agent]
    assert client.hook_files is not None
    for level, file in (*client.server_files(places), *client.hook_files(places)):
        if level == "project" and not file.is_symlink() and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(file) if device == "pipe" else file.symlink_to(device)
    assert state(agent, places) == "none"
    find_agents(paths, places)
    plan = plan_adoption(paths, places, (agent,), project=True)
    assert "it is no regular file" in plan.problems[0]


@pytest.mark.parametrize("agent", HOOKED)
def test_nothing_is_installed_before_adopting(agent: str, places: Places) -> None:
    assert state(agent, places) == "none"


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("claude-code", "installed"),
        ("codex", "waits for your trust"),
        ("gemini", "installed"),
        ("opencode", "installed"),
        ("cursor", ""),
    ],
)
def test_what_adopting_leads_to(agent: str, said: str, adopted: Places) -> None:
    assert state(agent, adopted) == said


def test_own_tools_that_go_around_pktui_are_named(adopted: Places) -> None:
    untrusted = "Codex's own tools go around pktui: trust its hooks there"
    assert around_pktui(adopted) == (untrusted,)
    settings = adopted.home / ".claude" / "settings.local.json"
    settings.write_text('{"disableAllHooks": true}')
    switched = f"its hooks are off: disableAllHooks in {settings}"
    assert around_pktui(adopted) == (
        f"Claude Code's own tools go around pktui: {switched}",
        untrusted,
    )


def test_codex_trusts_a_place_in_a_file(adopted: Places) -> None:
    codex = adopted.home / ".codex"
    key = f"{codex / 'hooks.json'}:pre_tool_use:0:0"
    trust = f'[hooks.state.{json.dumps(key)}]\ntrusted_hash = "sha256:1"\n'
    (codex / "config.toml").write_text(trust)
    assert state("codex", adopted) == "installed"
    hooks = json.loads((codex / "hooks.json").read_text())
    hooks["hooks"]["PreToolUse"].insert(0, {"hooks": [{"type": "command", "command": "x"}]})
    (codex / "hooks.json").write_text(json.dumps(hooks))
    assert state("codex", adopted) == "waits for your trust"


@pytest.mark.parametrize(
    ("agent", "name", "text"),
    [
        ("claude-code", ".claude/settings.local.json", '{"disableAllHooks": true}'),
        ("claude-code", ".claude/settings.local.json", '{"allowManagedHooksOnly": true}'),
        ("codex", ".codex/config.toml", "[features]\nhooks = false\n"),
    ],
)
def test_switches_are_named(agent: str, name: str, text: str, adopted: Places) -> None:
    (adopted.home / name).write_text(text)
    assert state(agent, adopted).startswith("off: ")
    assert name in state(agent, adopted)


@pytest.mark.parametrize("config", [{"enabled": False}, {"disabled": ["pktui"]}])
def test_gemini_has_a_switch_in_its_settings(config: dict[str, object], adopted: Places) -> None:
    file = adopted.home / ".gemini" / "settings.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "hooksConfig": config}))
    assert state("gemini", adopted) == f"off: hooksConfig in {file}"


def test_agents_on_the_machine_are_found(paths: Paths, places: Places) -> None:
    assert find_agents(paths, places) == ()
    (places.home / ".gemini").mkdir()
    (places.home / ".claude.json").write_text(
        '{"mcpServers": {"a": {"command": "x"}, "b": {"command": 1}}}'
    )
    claude, gemini = find_agents(paths, places)
    assert (claude.client.id, claude.servers, claude.behind) == ("claude-code", 1, 0)
    assert not claude.adopted
    assert "'b'" in claude.problems[0]
    assert (gemini.client.id, gemini.servers, gemini.hooks) == ("gemini", 0, "none")
    carry_out(plan_adoption(paths, places))
    assert [agent.adopted for agent in find_agents(paths, places)] == [True, True]


@pytest.mark.parametrize("agent", HOOKED)
def test_the_directories_that_an_agent_uses_are_known_and_mended(
    agent: str, paths: Paths, places: Places, tmp_path: Path
) -> None:
    (places.home / ".gemini").mkdir()
    (places.home / ".gemini" / "settings.json").write_text(
        '{"mcpServers": {"a": {"command": "x"}, "b": {"command": "pktui", "args": ["gateway"]}}}'
    )
    other = type(paths).below(tmp_path / "other home")
    carry_out(plan_adoption(other, places, HOOKED))
    meant = {str(other.config_dir), str(other.data_dir)}
    found = {one.client.id: one.directories for one in find_agents(paths, places)}
    assert found[agent] == meant
    carry_out(plan_adoption(paths, places, HOOKED))
    found = {one.client.id: one.directories for one in find_agents(paths, places)}
    assert found[agent] == {str(paths.config_dir), str(paths.data_dir)}
