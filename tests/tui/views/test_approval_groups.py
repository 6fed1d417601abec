"""Many calls of one agent and tool that wait at once: one row, one key, each decided by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pktui.insight.groups import MANY, Group
from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.records import Approval, Caller
from pktui.tui.screens.ask import AskScreen
from pktui.tui.views.approvals.detail import Detail
from tests.support.tampering import tamper
from tests.tui.house import LARGE, SMALL, Desk, House, desk
from tests.tui.views.test_approvals import keys_line, still, view_of

if TYPE_CHECKING:
    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
READS = {"name": "get_entry", "description": "Get an entry.", "inputSchema": {"type": "object"}}


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


def flood(house: House, count: int = 5, tool: str = "write_file", **more: Any) -> list[Approval]:
    """Have one agent ask for one tool so many times, a second apart."""
    asked = []
    for number in range(count):
        house.now_us += 1_000_000
        arguments = {"path": f"src/{number}.py"}
        asked.append(house.ask(tool, arguments, server="files", **more))
    return asked


def reading(house: House, **changed: Any) -> None:
    house.other.catalogue.saw("files", [READS | changed], first=True)


def statuses(house: House, asked: list[Approval]) -> list[str]:
    return [house.status(one) for one in asked]


async def quiet_over(at: Desk) -> None:
    clock = await still(at)
    clock.now += 1
    at.app.query_one(Detail).post_message(Detail.Changed())
    await at.settle()


@BOTH
async def test_many_of_a_kind_are_one_row_that_says_how_many(
    house: House, size: tuple[int, int]
) -> None:
    flood(house)
    house.ask("shell", {"command": "make"}, server="build")
    async with desk(house, "approvals", size) as at:
        text = at.screen_text()
        assert "6 waiting, 0 decided" in text
        assert "▲ files.write_file x5" in text
        assert len(view_of(at)._listed.rows) == 2
        assert "build.shell" in text
        await at.press("enter")
        assert "files.write_file, 5 calls" in at.screen_text()
        assert "claude-code · /home/me/shop · grant laptop" in at.screen_text()
        assert "src/0.py" in at.screen_text()


async def test_few_of_a_kind_and_other_agents_calls_have_rows_of_their_own(house: House) -> None:
    flood(house, MANY - 1)
    flood(house, MANY - 1, caller=Caller("opencode", "", "s", "/home/me/shop"))
    flood(house, MANY - 1, "read_file")
    async with desk(house, "approvals") as at:
        assert not any(isinstance(row, Group) for row in view_of(at)._listed.rows)


@BOTH
async def test_one_key_denies_them_all_after_a_moment(house: House, size: tuple[int, int]) -> None:
    asked, other = flood(house), house.ask("shell", {}, server="build")
    async with desk(house, "approvals", size) as at:
        await quiet_over(at)
        assert "d deny all 5" in keys_line(at)
        await at.press("d")
        assert statuses(house, asked) == ["denied"] * 5
        assert house.status(other) == "pending"
        assert "denied: 5 calls of files.write_file" in at.notices()
        assert at.app.query_one("#approvals-detail").title == other.id  # type: ignore[attr-defined]


async def test_words_reach_the_agent_for_each(house: House) -> None:
    asked = flood(house)
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        await at.press("r")
        assert isinstance(at.app.screen, AskScreen)
        await at.press(*"one file", "enter")
        found = [house.other.approvals.get(one.id) for one in asked]
        assert {(one.status, one.words) for one in found if one} == {("denied", "one file")}


async def test_keys_do_nothing_in_the_first_moment(house: House) -> None:
    asked = flood(house)
    async with desk(house, "approvals") as at:
        await still(at)
        await at.press("d")
        assert statuses(house, asked) == ["pending"] * 5
        assert "a moment" in keys_line(at)


async def test_a_call_that_joins_starts_the_moment_anew(house: House) -> None:
    asked = flood(house)
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        asked += flood(house, 1)
        await at.beat()
        await at.press("d")
        assert statuses(house, asked) == ["pending"] * 6
        view_of(at).detail.guard.restart(view_of(at).clock() - 1)
        await at.press("d")
        assert statuses(house, asked) == ["denied"] * 6


async def test_nothing_typed_for_a_group_reaches_what_comes_next(house: House) -> None:
    asked, other = flood(house), house.ask("shell", {}, server="build")
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        await at.press("d")
        await at.burst("d", "a")
        await at.press("d", "a")
        assert statuses(house, asked) == ["denied"] * 5
        assert house.status(other) == "pending"


@pytest.mark.parametrize("keys", ["4/dad", "41/dad", "4dad", "42ad", "4ad"])
async def test_a_burst_for_another_view_decides_no_group(house: House, keys: str) -> None:
    reading(house)
    asked = flood(house, tool="get_entry")
    async with desk(house, "sessions") as at:
        await at.burst(*("slash" if key == "/" else key for key in keys))
        assert statuses(house, asked) == ["pending"] * 5


async def test_calls_that_change_something_are_not_allowed_together(house: House) -> None:
    asked = flood(house)
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        await at.press("G")
        for key in "aAEp":
            await at.press(key)
            assert statuses(house, asked) == ["pending"] * 5
        assert "allowed only where they read" in at.notices()
        assert "one call at a time" in at.notices()


@BOTH
async def test_calls_that_read_are_allowed_together_once_all_was_shown(
    house: House, size: tuple[int, int]
) -> None:
    reading(house)
    asked = flood(house, 12, "get_entry")
    async with desk(house, "approvals", size) as at:
        await at.press("enter")
        await quiet_over(at)
        await at.press("a")
        assert statuses(house, asked) == ["pending"] * 12
        assert "allow all" not in keys_line(at).split("read to")[0] or size == LARGE
        await at.press("G")
        assert "a allow all 12" in keys_line(at)
        await at.press("a")
        assert statuses(house, asked) == ["allowed"] * 12


@pytest.mark.parametrize(
    "more", [{"once": True}, {"approvers": 2}, {"server": "elsewhere"}], ids=lambda one: str(one)
)
async def test_what_reads_but_asks_for_each_is_not_allowed_together(
    house: House, more: dict[str, Any]
) -> None:
    reading(house)
    asked = [house.ask("get_entry", {"n": n}, **({"server": "files"} | more)) for n in range(MANY)]
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        await at.press("G", "a")
        assert statuses(house, asked) == ["pending"] * MANY


async def test_a_tool_that_was_redefined_is_not_allowed_together(house: House) -> None:
    reading(house)
    asked = flood(house, tool="get_entry")
    house.other.catalogue.saw("files", [READS | {"description": "Get it all."}])
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        await at.press("G", "a")
        assert statuses(house, asked) == ["pending"] * 5


async def test_each_is_decided_by_what_was_shown_and_one_that_changed_is_left(
    house: House,
) -> None:
    asked = flood(house)
    changed = "UPDATE approvals SET args_hash = ? WHERE id = ?"
    tamper(house.paths.ledger_file, changed, args_hash({"path": "/"}), asked[2].id)
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        await at.press("d")
        assert statuses(house, asked) == ["denied", "denied", "pending", "denied", "denied"]
        assert "denied: 4 calls of files.write_file; left as they are: 1, as" in at.notices()
        assert "not for the arguments that were shown" in at.notices()


async def test_its_calls_are_shown_one_by_one_and_as_one_again(house: House) -> None:
    asked = flood(house)
    async with desk(house, "approvals") as at:
        await at.press("right", "j", "j")
        assert f"── {asked[1].id}" in at.screen_text()
        await quiet_over(at)
        await at.press("d")
        assert statuses(house, asked).count("denied") == 1
        assert house.status(asked[1]) == "denied"
        assert f"── {asked[2].id}" in at.screen_text()
        await at.press("left")
        assert "4 calls" in at.screen_text()
        assert "▲ files.write_file x4" in at.screen_text()


async def test_the_call_under_the_cursor_keeps_its_row_when_others_of_its_kind_come(
    house: House,
) -> None:
    first, *_ = flood(house, 1)
    async with desk(house, "approvals") as at:
        assert f"── {first.id}" in at.screen_text()
        flood(house, 4)
        await at.beat()
        assert f"── {first.id}" in at.screen_text()
        assert "▲ files.write_file x5" in at.screen_text()


async def test_a_read_only_console_decides_no_group(paths: Paths) -> None:
    house = House(paths, read_only=True)
    asked = flood(house)
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        await at.press("d")
        assert statuses(house, asked) == ["pending"] * 5
    house.close()


async def test_a_pin_is_asked_once_for_all(house: House) -> None:
    house.other.pin.set("4711", by="me")
    asked = flood(house)
    async with desk(house, "approvals") as at:
        await quiet_over(at)
        await at.press("d")
        await at.press(*"0000", "enter")
        assert statuses(house, asked) == ["pending"] * 5
        await quiet_over(at)
        await at.press("d")
        await at.press(*"4711", "enter")
        assert statuses(house, asked) == ["denied"] * 5


@BOTH
async def test_the_line_of_keys_offers_what_can_be_pressed(
    house: House, size: tuple[int, int]
) -> None:
    house.ask()
    async with desk(house, "approvals", size) as at:
        await quiet_over(at)
        if size == SMALL:
            assert "raw" not in keys_line(at)
            assert "later" not in keys_line(at)
            assert "allow" not in keys_line(at)
            await at.press("enter")
            await quiet_over(at)
        assert "v raw" in keys_line(at)
