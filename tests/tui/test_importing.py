"""An agent's own sessions brought in from the console, by the command that does it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.errors import PktuiError
from pktui.memory.client import MemoryClient
from pktui.memory.interchange import ImportProgress
from pktui.memory.records import Identity
from pktui.tui.importing import Import
from pktui.tui.screens.imports import Imports, _pace
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
    said: list[object] = []
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


def test_how_far_an_import_is_comes_as_figures_and_all_else_as_words(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Import(paths, "codex")
    program = """
import sys
for line in ('{"done":3,"whole":4,"taken":120,"known":7}', "{broken", "", "2 were added"):
    print(line, file=sys.stderr, flush=True)
"""
    monkeypatch.setattr(run, "_words", [sys.executable, "-c", program])
    told: list[ImportProgress | str] = []
    assert run.run(told.append) == "2 were added"
    assert told == [ImportProgress(3, 4, 120, 7), "{broken", "2 were added"]


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
async def test_an_import_shows_a_bar_and_a_rate_and_x_ends_it(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    program = """
import sys, time
while True:
    print('{"done":1,"whole":4,"taken":1200,"known":0}', file=sys.stderr, flush=True)
    time.sleep(0.05)
"""
    begin = Import.__init__

    def slow(run: Import, own: Paths, agent: str) -> None:
        begin(run, own, agent)
        run._words = [sys.executable, "-c", program]

    monkeypatch.setattr(Import, "__init__", slow)
    async with sessions(paths, size=size) as room:
        await room.desk.key("i")
        await room.desk.until(lambda: isinstance(room.app.screen, Imports))
        await room.desk.key("x")
        await room.desk.until(lambda: "nothing is brought in" in room.desk.notices())
        await room.desk.key("enter")
        await room.desk.until(lambda: "1,200 taken in" in room.text())
        bar = next(line for line in room.text().splitlines() if "taken in" in line)
        assert "██████░░░░░░░░░░░░░░░░░░  25%  1,200 taken in" in bar
        assert "/s" not in bar
        room.desk.house.now_us += 2_000_000
        await room.desk.until(lambda: "1,200 taken in  600/s" in room.text())
        await room.desk.key("x")
        await room.desk.until(lambda: "cancelled; what was taken in stays" in room.text())
        await room.press("escape")
        assert not isinstance(room.app.screen, Imports)


def test_the_rate_is_of_all_records_that_were_read() -> None:
    assert _pace(ImportProgress(1, 2, 900, 100), 500_000).a_second == 2_000
    assert _pace(ImportProgress(1, 2, 900, 100), 0).a_second == 0
