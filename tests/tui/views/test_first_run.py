from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.errors import PktuiError
from pktui.tui.views.now import first_call
from pktui.tui.views.now.first_run import AdoptScreen, FirstRun
from tests.tui.house import AGENT, LARGE, SMALL, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
CONFIG = {"mcpServers": {"files": {"command": "files-server", "args": ["--root", "/x"]}}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with Cursor in it, and nothing else of this machine."""
    home = tmp_path / "home"
    (home / ".cursor").mkdir(parents=True)
    (home / ".cursor" / "mcp.json").write_text(json.dumps(CONFIG, indent=2))
    monkeypatch.setenv("HOME", str(home))
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def house(paths: Paths, home: Path) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


@BOTH
async def test_agents_are_found_written_after_their_diff_and_taken_back(
    house: House, home: Path, size: tuple[int, int]
) -> None:
    config = home / ".cursor" / "mcp.json"
    before = config.read_bytes()
    async with desk(house, "now", size) as at:
        assert "Cursor" in at.screen_text()
        assert "1 server" in at.screen_text()
        footer = at.screen_text().splitlines()[-1]
        assert "space choose" in footer
        assert "enter" not in footer
        await at.press("w")
        screen = at.app.screen
        assert isinstance(screen, AdoptScreen)
        assert "mcp.json" in at.screen_text()
        assert config.read_bytes() == before
        await at.answer("w")
        assert b'"gateway"' in config.read_bytes()
        assert "Waiting for the first call of Cursor" in at.screen_text()
        footer = at.screen_text().splitlines()[-1]
        assert "t try" in footer
        assert not any(gone in footer for gone in ("space choose", "w write"))
        await at.press("w")
        assert "behind pktui already" in at.notices()
        await at.press("u")
        assert config.read_bytes() == before
        assert "No agent calls its tools through pktui yet." in at.screen_text()


async def test_hooks_that_wait_for_trust_are_said_to(house: House, home: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text('[mcp_servers.files]\ncommand = "npx"\n')
    async with desk(house, "now") as at:
        await at.press("w")
        await at.answer("w")
        assert "asks for trust" in at.screen_text()
        assert "Codex asks there whether you trust the new hooks" in at.screen_text()


async def test_an_agent_left_out_stays_as_it_is(house: House, home: Path) -> None:
    before = (home / ".cursor" / "mcp.json").read_bytes()
    async with desk(house, "now") as at:
        await at.press("space", "w")
        assert not isinstance(at.app.screen, AdoptScreen)
        assert "no agent is chosen" in at.notices()
        await at.press("space", "w")
        assert isinstance(at.app.screen, AdoptScreen)
        await at.press("escape")
        assert (home / ".cursor" / "mcp.json").read_bytes() == before


async def test_a_read_only_console_changes_nothing(house: House, home: Path) -> None:
    house.read_only = True
    async with desk(house, "now") as at:
        await at.press("w")
        assert not isinstance(at.app.screen, AdoptScreen)
        assert "read-only" in at.notices()


async def test_a_plan_that_comes_late_opens_nothing_over_what_is_there(house: House) -> None:
    async with desk(house, "now") as at:
        await at.burst("w", "w", "question_mark")
        assert len(at.app.screen_stack) == 2
        await at.press("escape")
        assert len(at.app.screen_stack) == 1


@pytest.mark.parametrize("command", [("/nowhere/pktui",), ("false",), ("echo", "no json")])
def test_a_gateway_that_does_not_answer_is_said(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_call, "_COMMAND", command)
    with pytest.raises(PktuiError, match="the first call failed"):
        first_call.make_first_call()


async def test_one_first_call_is_made_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, gate = [], threading.Event()

    def slow() -> str:
        calls.append(1)
        assert gate.wait(60)
        return "called"

    monkeypatch.setattr("pktui.tui.views.now.first_run.make_first_call", slow)
    async with desk(house, "now") as at:
        for _ in range(3):
            await at.key("t")
        gate.set()
        await at.settle()
        assert len(calls) == 1
        await at.press("t")
        assert len(calls) == 2


async def test_the_first_call_ends_the_first_run(house: House) -> None:
    async with desk(house, "now") as at:
        assert at.app.query_one(FirstRun).display
        house.other.events.append(
            "decision",
            caller=AGENT,
            call_id="c",
            server="memory",
            tool="list_sessions",
            effect="allow",
        )
        await at.beat()
        assert not at.app.query_one(FirstRun).display
        assert "AGENTS" in at.screen_text()
