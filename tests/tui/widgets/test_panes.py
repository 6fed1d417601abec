from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from textual.widget import Widget

from pktui.tui.kept import read_kept
from pktui.tui.widgets.panes import LEAST, Divider, Pane, PaneHead
from tests.tui.house import AGENT, LARGE, SMALL, Desk, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths

VIEWS = ("sessions", "feed", "policies", "approvals")


def width(at: Desk, name: str) -> int:
    return at.app.query_one(f"#{name}", Widget).outer_size.width


def head(at: Desk, name: str) -> str:
    return at.app.query_one(f"#{name}", Pane).query_one(PaneHead).render_line(0).text


async def test_the_head_of_the_pane_with_the_focus_is_told_without_colour(paths: Paths) -> None:
    async with desk(House(paths), "policies") as at:
        assert head(at, "policies-tools").startswith("━━ memory: 15 tools")
        assert head(at, "policies-servers").startswith("── servers ──")
        await at.press("left")
        assert head(at, "policies-servers").startswith("━━ servers ━━")
        assert head(at, "policies-tools").startswith("── memory: 15 tools")


async def test_keys_move_the_line_between_panes_and_the_next_start_has_it_there(
    paths: Paths,
) -> None:
    async with desk(House(paths), "policies") as at:
        before = width(at, "policies-servers")
        await at.press("greater_than_sign", "greater_than_sign", "less_than_sign")
        assert width(at, "policies-servers") == before + 4
        kept = (before + 4, LARGE[0] - before - 5)
        await at.until(lambda: kept in read_kept(paths.data_dir).panes.values())
    async with desk(House(paths), "policies") as at:
        assert width(at, "policies-servers") == before + 4


async def test_a_pane_keeps_some_cells_however_far_its_line_is_moved(paths: Paths) -> None:
    async with desk(House(paths), "policies") as at:
        await at.press(*["less_than_sign"] * 8)
        assert width(at, "policies-servers") == LEAST


async def test_the_mouse_drags_the_line_between_panes(paths: Paths) -> None:
    async with desk(House(paths), "policies") as at:
        before, line = width(at, "policies-servers"), at.app.query_one(Divider)
        x = line.region.x
        await at.pilot.mouse_down(line)
        await at.pilot.hover(offset=(x + 10, 8))
        await at.pilot.mouse_up(offset=(x + 10, 8))
        await at.settle()
        assert width(at, "policies-servers") == before + 10
        assert at.app.mouse_captured is None


async def test_a_kept_file_that_is_not_to_be_read_is_as_none(paths: Paths) -> None:
    house = House(paths)
    (paths.data_dir / "console.json").write_text('{"panes": 3')
    async with desk(house, "policies") as at:
        assert width(at, "policies-servers") == 22


async def test_z_lets_a_pane_fill_the_view_and_shows_all_again(paths: Paths) -> None:
    async with desk(House(paths), "policies") as at:
        await at.press("z")
        assert width(at, "policies-tools") == LARGE[0]
        assert "servers ─" not in at.screen_text()
        assert "because" not in at.screen_text()
        assert "full screen" in at.screen_text()
        await at.press("z")
        assert "servers ─" in at.screen_text()
        assert "because" in at.screen_text()
        assert "full screen" not in at.screen_text()


async def test_a_full_pane_gives_way_to_the_one_that_takes_the_focus(paths: Paths) -> None:
    async with desk(House(paths), "policies") as at:
        await at.press("z", "left")
        assert width(at, "policies-servers") == LARGE[0]
        await at.press("right")
        assert width(at, "policies-tools") == LARGE[0]


@pytest.mark.parametrize("view", [*VIEWS, "now", "insight"])
async def test_help_is_offered_in_eighty_columns(paths: Paths, view: str) -> None:
    house = House(paths)
    house.ask()
    async with desk(house, view, SMALL) as at:
        await at.beat()
        assert "? help" in at.screen_text().splitlines()[-1]


@pytest.mark.parametrize("view", ["feed", "approvals"])
async def test_a_wide_terminal_shows_the_policy_of_the_tool_beside_its_call(
    paths: Paths, view: str
) -> None:
    house = House(paths)
    policy = {"version": "1", "default": "deny", "tools": {"write": {"rate_limit": "7/minute"}}}
    paths.policy_file("files").write_text(json.dumps(policy))
    house.other.catalogue.saw("files", [{"name": "write"}])
    house.ask("write", {}, server="files")
    house.other.events.append(
        "decision", caller=AGENT, call_id="c", server="files", tool="write", effect="allow"
    )
    async with desk(house, view, (160, 36)) as at:
        await at.press("enter")
        await at.until(lambda: "7 calls a minute" in at.screen_text())
        await at.pilot.resize_terminal(159, 36)
        await at.settle()
        assert "7 calls a minute" not in at.screen_text()
