from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.text import has_hidden
from pktui.tui.widgets.document import DocumentView
from tests.tui.house import HOSTILE, LARGE, SMALL
from tests.tui.views.sessions.room import sessions, shop_memory

if TYPE_CHECKING:
    from pktui.settings import Paths


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
async def test_an_entry_stands_among_the_hits_and_enter_opens_it(
    paths: Paths, size: tuple[int, int]
) -> None:
    memory = shop_memory()
    memory.add_entry("How the login works", "It asks the bank.\n\tTTL = 3600", tags=("auth", "web"))
    async with sessions(paths, memory, size) as room:
        await room.search("login")
        text = room.text()
        assert "2 of 3 sessions · 1 entry · 3 hits" in text
        assert "titles 1 · words 2 · meaning 0" in text
        assert room.titles() == ["How the login works", "debugging auth", "migrate postgres"]
        assert "◆  How the login works" in text
        await room.press("enter")
        document = room.app.query_one(DocumentView)
        assert document.has_focus
        text = room.text()
        assert "auth, web" in text
        assert "a wiki" in text
        assert "    TTL = 3600" in text
        await room.press("escape")
        assert room.rows.has_focus
        await room.press("j", "enter")
        assert room.transcript.has_focus
        assert "The JWT token expires" in room.text()


async def test_keys_of_sessions_say_that_knowledge_is_none(paths: Paths) -> None:
    memory = shop_memory()
    memory.add_entry("login", "by the bank")
    async with sessions(paths, memory) as room:
        await room.search("login")
        for key in ("e", "R", "D", "x", "o"):
            room.desk.said.clear()
            await room.press(key)
            await room.desk.pilot.pause(0.6)  # such sentences are told at most twice a second
            assert "that is knowledge, not a session" in room.desk.notices()
        assert not [call for call in room.memory.asked if call.startswith(("end", "delete"))]
        room.desk.said.clear()
        await room.press("y")
        assert "copied" in room.desk.notices()


async def test_hits_go_on_over_an_entry(paths: Paths) -> None:
    memory = shop_memory()
    memory.add_entry("a page", "the login")
    async with sessions(paths, memory) as room:
        await room.search("login")
        assert room.titles() == ["debugging auth", "migrate postgres", "a page"]
        await room.press("n", "n", "n")
        assert room.current_title() == "a page"
        await room.press("N")
        assert room.current_title() == "migrate postgres"


async def test_what_an_agent_kept_is_made_visible(paths: Paths) -> None:
    memory = shop_memory()
    memory.add_entry(f"login {HOSTILE}", HOSTILE, tags=(HOSTILE,))
    async with sessions(paths, memory) as room:
        await room.search("login")
        await room.press("enter")
        assert "knowledge" in room.text()
        assert not has_hidden(room.text())


async def test_the_state_of_a_session_is_named_beside_its_title(paths: Paths) -> None:
    async with sessions(paths) as room:
        assert "active ─ checkout is slow ─" in room.text()
        await room.press("j")
        assert "ended ─ migrate postgres ─" in room.text()
