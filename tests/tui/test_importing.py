"""An agent's own sessions brought in from the console, by the command that does it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.errors import PktuiError
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.tui.importing import Import
from pktui.tui.screens.imports import Imports
from tests.support.memory_service import running_service
from tests.tui.house import LARGE, SMALL
from tests.tui.views.sessions.room import sessions

if TYPE_CHECKING:
    from pktui.settings import Paths

STORES = Path(__file__).parents[1] / "memory" / "importers" / "stores"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    shutil.copytree(STORES / "claude" / "projects", home / ".claude" / "projects")
    monkeypatch.setenv("HOME", str(home))
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.mark.timeout(240)
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
async def test_i_brings_an_agents_sessions_in(
    paths: Paths, home: Path, size: tuple[int, int]
) -> None:
    with running_service(paths):
        async with sessions(paths, size=size) as room:
            await room.press("i")
            assert "Claude Code" in room.text()
            await room.press("enter")
            await room.desk.until(lambda: "were added" in room.text() or "failed" in room.text())
            assert "failed" not in room.text()
            await room.press("escape")
            assert not isinstance(room.app.screen, Imports)
        client = MemoryClient(paths, Identity("test"), start=False)
        assert {one.agent for one in client.sessions().items} == {"claude-code"}
        client.close()


def test_an_import_that_fails_says_why(paths: Paths) -> None:
    said: list[str] = []
    with pytest.raises(PktuiError, match="nobody"):
        Import(paths, "nobody").run(said.append)
    assert said


def test_an_import_is_cancelled_before_it_starts_and_while_it_runs(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = Import(paths, "codex")
    early.cancel()
    assert early.run(print) == "cancelled"
    running = Import(paths, "codex")
    program = "import sys, time; print('10%', file=sys.stderr, flush=True); time.sleep(600)"
    monkeypatch.setattr(running, "_words", [sys.executable, "-c", program])
    assert "cancelled" in running.run(lambda _line: running.cancel())
