"""Where a view is empty it says why: nothing is there, nothing has come yet, or it can't be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.errors import LedgerUnavailable
from pktui.tui.console import Console
from tests.tui.house import LARGE, SMALL, Desk, House, desk
from tests.tui.picture_states import Late

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


@pytest.mark.parametrize(
    ("view", "words"),
    [("now", "Reading the record of calls…"), ("insight", "Reading the record of calls…"),
     ("feed", "Reading the record of calls…"), ("policies", "Reading the policies"),
     ("approvals", "Reading what waits for you…")],
)  # fmt: skip
async def test_a_view_says_what_it_waits_for_until_it_is_there(
    paths: Paths, view: str, words: str
) -> None:
    house = House(paths)
    house.ledger = Late(house.ledger)  # type: ignore[assignment]
    app = Console(house.services(), view=view)
    try:
        async with app.run_test(size=SMALL) as pilot:
            hands = Desk(house, app, pilot, [])
            await hands.until(lambda: words in hands.screen_text())
            keys = hands.screen_text().splitlines()[-1]
            assert not {"follow", "calls", "stop", "rule"} & set(keys.split())
            Late.gate.set()
            await hands.until(lambda: words not in hands.screen_text())
    finally:
        Late.gate.set()
        house.close()
        Late.gate.clear()


async def test_a_view_that_could_never_be_read_says_why_until_it_is(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LedgerUnavailable("the record is locked", "End what holds it")

    with monkeypatch.context() as patch:
        patch.setattr("pktui.tui.views.insight.view.Activity.read", fail)
        async with desk(House(paths), "insight", SMALL) as at:
            assert "the record is locked" in at.screen_text()
            assert "End what holds it" in at.screen_text()
            patch.undo()
            await at.press("t")
            assert "the record is locked" not in at.screen_text().partition("CALLS AN HOUR")[0]


async def test_the_tray_says_what_is_wrong_where_nothing_waits(paths: Paths) -> None:
    house = House(paths)
    async with desk(house, "sessions", SMALL) as at:
        paths.policy_file("files").write_text("{")
        await at.beat()
        assert at.screen_text().splitlines()[-2].startswith(" ▲ files.json has 1 problem")
        paths.policy_file("files").unlink()
        paths.ledger_file.unlink()
        await at.beat()
        assert at.screen_text().splitlines()[-2].startswith(" ✗ ledger.db")


async def test_the_themes_begin_at_the_one_in_force(paths: Paths) -> None:
    async with desk(House(paths), "feed", SMALL) as at:
        await at.press("ctrl+p", *"theme", "enter")
        assert "pktui-dark · in force" in at.screen_text()
