"""Where a view is empty it shows a command, and y copies that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tui.house import LARGE, SMALL, House, desk

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
@pytest.mark.parametrize(
    ("view", "command"),
    [("now", "pktui gateway memory"), ("feed", "pktui gateway memory"),
     ("approvals", "pktui policy set memory store_knowledge approve"),
     ("sessions", "pktui doctor")],
)  # fmt: skip
async def test_the_command_that_is_shown_is_copied(
    paths: Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    view: str,
    command: str,
    size: tuple[int, int],
) -> None:
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    async with desk(House(paths), view, size) as at:
        await at.until(lambda: command in at.screen_text())
        assert "y copies it" in at.screen_text()
        await at.press("y")
        await at.until(lambda: at.app.clipboard == command)


async def test_where_there_is_none_it_says_so(paths: Paths) -> None:
    house = House(paths)
    house.ask()
    async with desk(house, "approvals") as at:
        await at.press("y")
        assert "no command is shown here" in at.notices()
