"""What a look showed that a call would change, on its card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pktui.ledger.records import Approval, Caller, Looked
from pktui.text import has_hidden
from tests.tui.house import HOSTILE, LARGE, SMALL, House, desk
from tests.tui.views.test_approvals import keys_line, still

if TYPE_CHECKING:
    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


def ask(house: House, **looked: Any) -> Approval:
    """Open a question with what a look showed."""
    given: dict[str, Any] = {"tool": "get_page", "at_us": house.now_us, "arguments": '{"id":7}'}
    found = Looked(**(given | looked))
    return house.ask("set_page", {"id": 7}, server="wiki", looked=found)


@BOTH
async def test_the_card_shows_the_answer_above_the_arguments(
    house: House, size: tuple[int, int]
) -> None:
    ask(house, shown="Deploys\non Fridays", digest="d")
    async with desk(house, "approvals", size) as at:
        await at.press("enter")
        text = at.screen_text()
        assert 'look   get_page {"id":7}, ' in text
        assert text.index("on Fridays") < text.index("id  7")


async def test_it_says_why_nothing_is_shown(house: House) -> None:
    ask(house, why="it did not answer within 5 seconds")
    async with desk(house, "approvals") as at:
        assert "nothing was shown, as it did not answer" in at.screen_text()


async def test_it_says_that_the_tool_failed_and_how_much_was_cut(house: House) -> None:
    ask(house, shown="no such page", failed=True, left_out=1200)
    async with desk(house, "approvals") as at:
        text = at.screen_text()
        assert 'get_page {"id":7}: it failed' in text
        assert "no such page" in text
        assert "… and 1,200 characters" in text


async def test_what_a_server_says_is_made_visible(house: House) -> None:
    ask(house, shown=HOSTILE.replace("\ud800", ""), arguments='{"id":"\\u001b[2J"}')
    async with desk(house, "approvals") as at:
        text = at.screen_text()
        assert "[bold red]" in text
        assert "\x1b" not in text
        assert not has_hidden(text.replace("\n", ""))


async def test_a_long_answer_is_read_to_its_end_before_the_call_may_run(house: House) -> None:
    asked = ask(house, shown="\n".join(f"line {n}" for n in range(80)))
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("a")
        assert house.status(asked) == "pending"
        await at.press("enter", "G", "a")
        assert house.status(asked) == "allowed"


async def test_a_question_asked_anew_comes_under_the_cursor_with_what_is_other(
    house: House,
) -> None:
    first = ask(house, shown="on Fridays\nask Ada", digest="1")
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("a")
        house.other.approvals.void(first.id)
        second = ask(house, shown="on Mondays\nask Ada", before="on Fridays\nask Ada",
                     digest="2", anew=first.id)  # fmt: skip
        await at.beat()
        text = at.screen_text()
        assert f"── {second.id}" in text
        assert f"not what it showed when {first.id} was" in text
        assert "- on Fridays" in text
        assert "+ on Mondays" in text
        assert "asked anew" in at.notices()
        await at.press("a")
        assert house.status(second) == "pending"


async def test_many_of_a_kind_show_what_each_would_change(house: House) -> None:
    for number in range(3):
        ask(house, shown=f"page {number}")
    async with desk(house, "approvals") as at:
        text = at.screen_text()
        assert all(f"page {number}" in text for number in range(3))


async def test_the_connection_is_named_so_and_an_agents_session_too(house: House) -> None:
    house.ask(caller=Caller("claude-code", "", "8f31c2d4e5", "/home/me/shop"))
    async with desk(house, "approvals") as at:
        assert "connection 8f31c2d" in at.screen_text()


async def test_a_call_of_an_agents_own_tool_names_its_session(house: House) -> None:
    caller = Caller("claude-code", "", "8f31c2d4e5", "/home/me/shop")
    house.ask("Bash", {"command": "ls"}, server="claude-code", caller=caller)
    async with desk(house, "approvals") as at:
        assert "session 8f31c2d" in at.screen_text()


async def test_what_several_people_allow_is_not_offered_to_be_changed(house: House) -> None:
    house.ask(approvers=2)
    async with desk(house, "approvals", SMALL) as at:
        await at.press("enter")
        clock = await still(at)
        clock.now += 1
        await at.press("v", "v")
        assert "a allow once" in keys_line(at)
        assert "E change" not in keys_line(at)
