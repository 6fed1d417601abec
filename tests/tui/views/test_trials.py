from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from textual import events

from pktui.ledger.arguments.canonical import args_hash
from pktui.tui.views.policies.sentence import SentenceScreen
from pktui.tui.views.policies.trials import PresetScreen, ReplayScreen
from pktui.tui.views.policies.write_screen import WriteScreen
from tests.support.managing import manage
from tests.tui.house import AGENT, LARGE, SMALL, Desk, House, desk

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
POLICY = {"version": "1", "default": "allow", "tools": {"run_shell": {"action": "approve"}}}


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    paths.policy_file("shell").write_text(json.dumps(POLICY, indent=2))
    house.other.catalogue.saw("shell", [{"name": "run_shell"}, {"name": "read_file"}])
    for number in range(5):
        arguments = {"command": f"pytest -k {number}"} if number < 2 else {"path": f"{number}.py"}
        tool = "run_shell" if number < 2 else "read_file"
        house.now_us += 1_000_000
        house.other.events.append(
            "decision", caller=AGENT, call_id=f"c{number}", server="shell", tool=tool,
            effect="approve" if number < 2 else "allow", arguments=arguments,
            args_hash=args_hash(arguments), approval_id=f"a{number}" if number < 2 else "",
        )  # fmt: skip
    yield house
    house.close()


def written(house: House) -> object:
    return json.loads(house.paths.policy_file("shell").read_text())


async def at_shell(at: Desk, tool: str = "read_file") -> None:
    await at.app.open_view("policies", "shell", tool)
    await at.settle()


@BOTH
async def test_a_draft_is_tried_on_the_calls_of_the_last_days(
    house: House, size: tuple[int, int]
) -> None:
    async with desk(house, "policies", size) as at:
        await at_shell(at)
        await at.press("t")
        assert isinstance(at.app.screen, ReplayScreen)
        assert "of 5 calls: 3 run, 2 ask, 0 denied · 0 differ" in at.screen_text()
        await at.press("escape", "space", "d", "t")
        screen = at.screen_text()
        assert "of 5 calls: 0 run, 2 ask, 3 denied · 3 differ" in screen
        assert "/tools/read_file" in screen
        assert "was    would be" in screen
        assert re.search(r"Today ─+ ", screen)
        assert written(house) == POLICY
        await at.press("c")
        assert isinstance(at.app.screen, SentenceScreen)


@BOTH
async def test_a_ready_made_policy_is_chosen_by_its_figures_and_shown_before_it_is_written(
    house: House, size: tuple[int, int]
) -> None:
    async with desk(house, "policies", size) as at:
        await at_shell(at)
        await at.press("P")
        assert isinstance(at.app.screen, PresetScreen)
        screen = at.screen_text()
        assert "of 5 calls in 7 days" in screen
        assert "policy" in screen
        assert re.search(r"observe +5 +0 +0 ", screen)
        await at.press("enter")
        assert isinstance(at.app.screen, WriteScreen)
        assert written(house) == POLICY
        await at.answer("w")
        assert written(house) != POLICY
        await at.press("u")
        assert written(house) == POLICY


async def test_a_pasted_policy_is_merged_and_never_read_as_keys(house: House) -> None:
    text = '"read_file": { "action": "deny", "reason": "q wad" }'
    async with desk(house, "policies") as at:
        await at_shell(at)
        at.app.post_message(events.Paste(text))
        await at.settle()
        assert isinstance(at.app.screen, WriteScreen)
        assert "Write what was pasted?" in at.screen_text()
        assert written(house) == POLICY
        await at.answer("w")
        assert written(house)["tools"]["read_file"]["action"] == "deny"  # type: ignore[index]


async def test_a_paste_that_is_no_policy_is_refused_and_said(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_shell(at)
        at.app.post_message(events.Paste("q\nw\nd\n"))
        await at.settle()
        assert not isinstance(at.app.screen, WriteScreen)
        assert "holds no policy" in at.notices() or "can't be read" in at.notices()
        assert written(house) == POLICY


async def test_all_servers_name_the_one_that_is_needed(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_shell(at)
        await at.press("asterisk")
        for key in ("t", "P"):
            await at.press(key)
            assert "choose a server first" in at.notices()


@BOTH
async def test_what_is_managed_decides_in_trials_as_it_does_in_gateways(
    house: House, managed: Path, size: tuple[int, int]
) -> None:
    manage(managed, "shell", tools={"read_file": {"action": "deny", "reason": "Not here."}})
    async with desk(house, "policies", size) as at:
        await at_shell(at, "run_shell")
        await at.press("t")
        screen = " ".join(at.screen_text().split())
        assert "of 5 calls: 0 run, 2 ask, 3 denied (3 by managed shell.json)" in screen
        assert "managed/shell.json#/tools/read_file" in screen
        await at.press("escape", "P")
        await at.until(lambda: bool(re.search(r"observe +2 +0 +3 ", at.screen_text())))


async def test_a_rule_that_a_managed_policy_makes_void_is_not_offered(
    house: House, managed: Path
) -> None:
    manage(managed, "shell", tools={"run_shell": {"action": "approve"}})
    async with desk(house, "policies") as at:
        await at_shell(at, "run_shell")
        await at.press("c")
        assert isinstance(at.app.screen, SentenceScreen)
        words = "managed policy shell.json"
        await at.until(lambda: words in at.screen_text())
        await at.answer("w")
        assert "no such rule can be made" in at.notices()
