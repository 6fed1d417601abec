from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pktui.tui.screens.action_list import ActionList
from tests.tui.house import LARGE, SMALL, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


@BOTH
async def test_help_is_typed_into_and_run_from(house: House, size: tuple[int, int]) -> None:
    async with desk(house, "policies", size) as at:
        await at.press("question_mark")
        assert isinstance(at.app.screen, ActionList)
        if size == LARGE:
            assert "policies.filter" in at.screen_text()
        await at.press(*"tools", "space", *"every")
        assert "List the tools of every server" in at.screen_text()
        await at.press("enter")
        assert not isinstance(at.app.screen, ActionList)
        assert "every server: 15 tools" in at.screen_text()


async def test_descriptions_and_ids_are_whole_where_there_is_room(house: House) -> None:
    async with desk(house, "sessions") as at:
        await at.press("question_mark", *"denied")
        text = at.screen_text()
        assert "transcript.previous_marked" in text
        assert "The next call that was denied or asked about" in text


async def test_the_palette_shows_what_was_run_last_first(house: House) -> None:
    async with desk(house, "policies") as at:
        await at.press("ctrl+p", *"feed", "enter")
        assert at.app.front == "feed"
        await at.press("ctrl+p")
        screen = at.app.screen
        assert isinstance(screen, ActionList)
        first = screen.rows.current
        assert first is not None
        assert first.id == "app.feed"


async def test_enter_in_the_help_allows_no_call(house: House) -> None:
    asked = house.ask()
    async with desk(house, "approvals") as at:
        await at.press("question_mark", *"allow", "space", *"once", "enter")
        assert isinstance(at.app.screen, ActionList)
        assert "press a where it holds" in at.notices()
        await at.press("escape")
        assert house.status(asked) == "pending"
