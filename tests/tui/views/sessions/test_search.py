from __future__ import annotations

from typing import TYPE_CHECKING

from textual.events import Paste
from textual.widgets import Input

from pktui.text import has_hidden
from tests.tui.house import SMALL
from tests.tui.views.sessions.room import sessions

if TYPE_CHECKING:
    import pytest

    from pktui.settings import Paths


async def test_results_come_while_typing(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("slash")
        await room.type_text("login")
        await room.desk.until(lambda: len(room.titles()) == 2)
        assert room.box.text == "login"


async def test_the_old_rows_stay_until_the_new_ones_come(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.views.sessions.search_box.PAUSE_SECONDS", 600)
    async with sessions(paths) as room:
        await room.press("slash")
        await room.desk.pilot.press("x", "y")
        assert len(room.titles()) == 3
        await room.press("enter")
        assert "Nothing matches “xy” by hybrid." in room.text()


async def test_hits_by_meaning_come_by_themselves_once_the_model_is_there(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.views.sessions.view.MEANING_SECONDS", 0.01)
    async with sessions(paths) as room:
        room.memory.loading = True
        await room.search("quokka")
        assert "No words match “quokka”." in room.text()
        assert "the model" in room.text().lower()
        room.memory.add("Animals", ("user", "a quokka"))
        room.memory.loading = False
        await room.desk.until(lambda: len(room.titles()) == 1)


async def test_what_is_pasted_is_searched_for_as_one_visible_line(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("slash")
        room.box.query_one(Input).post_message(Paste("\x1b[2Jlog\u200bin\n"))
        await room.press("enter")
        assert room.box.text == "[2Jlogin"
        assert not has_hidden(room.text())


async def test_mode_count_and_scope_are_named(paths: Paths) -> None:
    async with sessions(paths, size=SMALL) as room:
        await room.search("login")
        assert "hybrid · 2 of 3 sessions · 3 of 3 hits · all projects" in room.text()


async def test_tab_goes_through_the_modes_and_searches_again(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("slash")
        await room.type_text("login")
        modes = []
        for _ in range(4):
            await room.press("tab")
            modes.append(room.box.mode)
        assert modes == ["meaning", "words", "exact", "hybrid"]
        asked = [call for call in room.memory.calls if call.startswith("search")]
        assert asked[-4:] == [f"search 'login' {mode}" for mode in modes]


async def test_a_hit_opens_at_its_message(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.search("replication")
        current = room.transcript.current
        assert current is not None
        assert current.content.startswith("Logical replication")
        assert "1 of 1 hit" in room.text()


async def test_n_goes_through_the_hits_and_on_to_the_next_session(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.search("login")
        assert room.current_title() == "debugging auth"
        seen = [room.transcript.target_id]
        for key in ("n", "n", "N", "N"):
            await room.press(key)
            seen.append(room.transcript.target_id)
        assert seen == [100_001, 100_004, 200_002, 100_004, 100_001]


async def test_escape_leaves_the_box_then_the_search(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.search("login")
        assert room.rows.has_focus
        await room.press("escape")
        assert len(room.titles()) == 3
        assert room.box.text == ""


async def test_letters_in_the_box_are_text(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("slash")
        await room.type_text("eRDxyujkG1234q")
        assert room.box.text == "eRDxyujkG1234q"
        assert room.app.front == "sessions"
        assert not [call for call in room.memory.calls if call.startswith(("end", "delete"))]
        assert len(room.app.screen_stack) == 1


async def test_the_scope_limits_the_search(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.search("login")
        await room.press("ctrl+g")
        assert "Nothing matches “login” by hybrid." in room.text()
