"""ctrl+k stops every agent, whatever is in front; only a box that edits by it keeps it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from pktui.ledger.arguments.canonical import args_hash
from pktui.tui.screens.confirm import ConfirmScreen
from tests.tui.house import AGENT, LARGE, SMALL, Desk, House, desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths

POLICY = {"version": "1", "default": "allow", "tools": {"run_shell": {"action": "approve"}}}


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    paths.policy_file("shell").write_text(json.dumps(POLICY, indent=2))
    house.other.catalogue.saw("shell", [{"name": "run_shell"}])
    arguments = {"command": "pytest -q"}
    house.other.events.append(
        "decision", caller=AGENT, call_id="c1", server="shell", tool="run_shell",
        effect="approve", arguments=arguments, args_hash=args_hash(arguments), approval_id="a1",
    )  # fmt: skip
    yield house
    house.close()


async def stopped(at: Desk) -> None:
    """Stop everything from where the desk is."""
    await at.press("ctrl+k")
    assert isinstance(at.app.screen, ConfirmScreen)
    assert "Stop everything?" in at.screen_text()
    await at.answer("right", "enter")
    await at.until(at.house.other.approvals.stopped)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
@pytest.mark.parametrize(
    "keys",
    [(), ("left",), ("space",), ("space", "d", "w"), ("t",), ("P",), ("v",), ("c",),
     ("exclamation_mark",), ("ctrl+o",), ("enter",)],
    ids=["tools", "servers", "choice", "write", "replay", "presets", "document", "rule",
         "notices", "jump", "detail"],
)  # fmt: skip
async def test_it_stops_over_lists_and_questions(
    house: House, keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    before = house.paths.policy_file("shell").read_bytes()
    async with desk(house, "policies", size) as at:
        await at.app.open_view("policies", "shell", "run_shell")
        await at.settle()
        await at.press(*keys)
        below = at.app.screen
        await stopped(at)
        await at.settle()
        assert at.app.screen is below  # what was asked is asked still
        assert house.paths.policy_file("shell").read_bytes() == before


async def test_it_asks_once_however_often_it_is_pressed(house: House) -> None:
    async with desk(house, "policies") as at:
        await at.press("ctrl+k")
        stack = len(at.app.screen_stack)
        await at.press("ctrl+k")
        assert len(at.app.screen_stack) == stack
        await at.answer("right", "enter")
        await at.until(house.other.approvals.stopped)
        await at.settle()
        await at.press("ctrl+k")
        assert "Let everything go on?" in at.screen_text()
        await at.answer("right", "enter")
        await at.until(lambda: not house.other.approvals.stopped())


@pytest.mark.parametrize("keys", [("slash",), ("r",), ("question_mark",)])
async def test_a_box_that_edits_by_the_key_keeps_it(house: House, keys: tuple[str, ...]) -> None:
    async with desk(house, "policies") as at:
        await at.app.open_view("policies", "shell", "run_shell")
        await at.settle()
        await at.press(*keys, *"abc", "left", "left", "ctrl+k")
        box = at.app.focused
        assert isinstance(box, Input)
        assert box.value == "a"
        assert not isinstance(at.app.screen, ConfirmScreen)


async def test_the_palette_stops_also_from_a_box(house: House) -> None:
    async with desk(house, "policies") as at:
        await at.press("slash", "ctrl+p", *"stop", "space", *"all", "enter")
        assert "Stop everything?" in at.screen_text()
