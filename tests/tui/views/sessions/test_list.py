from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.tui.views.sessions.source import PAGE
from pktui.tui.widgets.heads import Heads
from tests.support.memory import MemoryInProcess
from tests.tui.house import LARGE, SMALL
from tests.tui.views.sessions.room import sessions

if TYPE_CHECKING:
    from pktui.settings import Paths


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_list_shows_state_title_agent_and_age(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, size=size) as room:
        assert room.titles() == ["checkout is slow", "migrate postgres", "debugging auth"]
        text = room.text()
        assert "●  checkout is slow" in text
        assert "○  migrate postgres" in text
        assert "opencode" in text
        assert ("1 d" in text) == (size == SMALL)  # day heads tell it where there is less room
        assert "3 sessions · all projects" in text


async def test_the_wide_layout_shows_list_and_transcript(paths: Paths) -> None:
    async with sessions(paths, size=(100, 30)) as room:
        assert "Why?" in room.text()
        assert room.view.has_class("-wide")


async def test_the_stacked_layout_shows_the_transcript_below(paths: Paths) -> None:
    async with sessions(paths, size=(80, 30)) as room:
        assert "Why?" in room.text()
        assert room.preview.region.y > room.rows.region.y


async def test_the_small_layout_opens_the_transcript_over_the_list(paths: Paths) -> None:
    async with sessions(paths, size=SMALL) as room:
        assert "Why?" not in room.text()
        await room.press("enter")
        assert "Why?" in room.text()
        assert "migrate postgres" not in room.text()
        await room.press("escape")
        assert "migrate postgres" in room.text()
        assert room.rows.has_focus


async def test_ctrl_g_switches_between_this_project_and_all(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("ctrl+g")
        assert room.titles() == ["checkout is slow"]
        assert "1 session · project shop" in room.text()
        await room.press("ctrl+g")
        assert len(room.titles()) == 3


async def test_sessions_beyond_the_first_page_are_read_when_reached(paths: Paths) -> None:
    memory = MemoryInProcess()
    for number in range(PAGE * 2 + 20):
        memory.add(f"session {number}", ("user", "hello"))
    async with sessions(paths, memory) as room:
        assert room.rows.source.total == PAGE * 2 + 20
        assert len(room.titles()) == PAGE
        await room.press("G")
        assert room.current_title() == "session 0"
        assert len(room.titles()) == PAGE * 2 + 20


async def test_the_cursor_stays_on_its_session_when_others_come(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("j")
        assert room.current_title() == "migrate postgres"
        room.memory.add("a new one", ("user", "hello"))
        room.view.shown()
        await room.desk.settle()
        assert room.titles()[0] == "a new one"
        assert room.current_title() == "migrate postgres"


async def test_an_empty_memory_says_what_to_do_next(paths: Paths) -> None:
    async with sessions(paths, MemoryInProcess()) as room:
        assert "No sessions yet." in room.text()
        assert "0 sessions · all projects" in room.text()
        assert "claude mcp add memory -- pktui gateway memory" in room.text()


async def test_a_lost_memory_is_told_and_comes_back_by_itself(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("one", ("user", "hello"))
    memory.down = True
    async with sessions(paths, memory) as room:
        assert "The memory is not there." in room.text()
        assert "memory down" in room.text()
        assert "sessions · all projects" in room.text()
        assert "0 sessions" not in room.text()
        memory.down = False
        room.app._look_at_memory()
        await room.desk.settle()
        assert room.titles() == ["one"]
        assert "1 session · all projects" in room.text()
        assert "memory ok" in room.text()


async def test_rows_stay_on_screen_when_the_memory_is_lost(paths: Paths) -> None:
    async with sessions(paths) as room:
        room.memory.down = True
        room.app._look_at_memory()
        await room.desk.settle()
        assert len(room.titles()) == 3
        await room.press("j")
        assert "This session cannot be read now." in room.text()
        room.memory.down = False
        room.app._look_at_memory()
        await room.press()
        assert "Logical replication" in room.text()


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
async def test_s_sorts_by_the_next_column_and_a_click_on_a_head_by_that_one(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, size=size) as room:
        newest = ["checkout is slow", "migrate postgres", "debugging auth"]
        assert room.titles() == newest
        assert "Monday 2 March" in room.text()
        await room.press("S")
        assert room.titles() == ["checkout is slow", "debugging auth", "migrate postgres"]
        assert "3 sessions · by title · all projects" in room.text()
        assert "Monday 2 March ─" not in room.text()[: room.text().index("migrate")]
        heads = room.app.query_one(Heads)
        assert heads.by == {"title"}
        for order in ("agent", "project", "count", "age"):
            await room.press("S")
            assert f"by {order}" in room.text()
        assert room.titles() == newest
        await room.press("S")
        assert heads.by == frozenset()
        at = room.text().splitlines()[heads.region.y].index("said")
        await room.desk.pilot.click(heads, offset=(at - heads.region.x, 0))
        await room.press()
        assert room.titles() == ["debugging auth", "migrate postgres", "checkout is slow"]
        await room.desk.pilot.click(heads, offset=(at - heads.region.x, 0))
        await room.press()
        assert room.titles() == newest


async def test_what_a_search_found_is_sorted_too(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("alone", ("user", "the login"))
    memory.add("more", ("user", "a login"), ("agent", "login"))
    async with sessions(paths, memory) as room:
        await room.search("login")
        assert room.titles() == ["alone", "more"]
        heads = room.app.query_one(Heads)
        at = room.text().splitlines()[heads.region.y].index("hits")
        await room.desk.pilot.click(heads, offset=(at - heads.region.x, 0))
        await room.press()
        assert room.titles() == ["more", "alone"]
        assert heads.by == {"said", "hits"}


async def test_pages_of_a_sorted_list_come_as_they_are_reached(paths: Paths) -> None:
    memory = MemoryInProcess()
    for number in range(PAGE + 20):
        memory.add(f"session {number:03}", ("user", "hello"))
    async with sessions(paths, memory) as room:
        await room.press("S", "G")
        assert room.current_title() == f"session {PAGE + 19:03}"
        assert room.titles() == sorted(room.titles())
