from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from textual.events import Paste
from textual.widgets import Input

from pktui.errors import SettingsError
from pktui.memory.records import MODES
from pktui.memory.search.filters import MESSAGE_KEYS, compile_filters
from pktui.query import parse_query
from pktui.text import has_hidden
from pktui.tui.views.sessions.draw import why
from pktui.tui.views.sessions.query_bar import QueryBar
from pktui.tui.views.sessions.saved import SavedSearch, drop, keep, load
from tests.support.memory import MemoryInProcess
from tests.tui.house import LARGE, SMALL
from tests.tui.views.sessions.room import Room, sessions

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.memory.records import GroupedAnswer
    from pktui.settings import Paths
    from pktui.tui.views.sessions.source import Row

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


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
    monkeypatch.setattr("pktui.tui.views.sessions.listing.MEANING_SECONDS", 0.01)
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
        assert "hybrid · 2 of 3 sessions · 3 hits · all projects" in room.text()


@pytest.mark.parametrize(
    ("query", "bad", "why"),
    [
        ("login since:soon", "since:soon", "soon"),
        ("login role:boss", "role:boss", "is not known"),
    ],
)
async def test_a_query_that_cannot_be_read_leaves_no_answer_standing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, query: str, bad: str, why: str
) -> None:
    async with sessions(paths) as room:
        search = room.memory.search_sessions

        def strict(text: str, *given: Any, **more: Any) -> GroupedAnswer:
            compile_filters(parse_query(text, MESSAGE_KEYS), NOON)
            return search(text, *given, **more)

        monkeypatch.setattr(room.memory, "search_sessions", strict)
        await room.search("login")
        bar = room.app.query_one(QueryBar)
        assert not bar.display
        await room.press("slash")
        await room.type_text(query.removeprefix("login"))
        await room.press("enter")
        assert bar.display
        [problem] = [chip for chip in bar.chips if chip.why]
        assert problem.text == bad
        assert why in problem.why
        assert [chip.text for chip in bar.chips] == query.split()
        assert room.rows.has_class("-not-filtered") == bool(room.titles())
        assert "not filtered · all projects" in room.text()
        await room.press("escape")
        assert not bar.display
        assert not room.rows.has_class("-not-filtered")
        assert "3 sessions · all projects" in room.text()


async def test_counts_are_the_stores_and_further_sessions_come_as_they_are_reached(
    paths: Paths,
) -> None:
    memory = MemoryInProcess()
    for number in range(120):
        memory.add(f"Session {number}", ("user", "the rounding"), ("agent", "rounding again"))
    memory.add("Long", *[("user", f"rounding {number}") for number in range(280)])
    async with sessions(paths, memory) as room:
        await room.search("rounding")
        assert "121 of 121 sessions · 520 hits" in room.text()
        assert room.rows.source.total == 121
        await room.press("G")
        await room.desk.until(lambda: room.current_title() == "Long")
        await room.desk.settle()
        assert re.search(r" Long +claude-code.* 280 ", room.text())
        assert "1 of 280 hits" in room.text()


async def test_tab_goes_through_the_modes_and_searches_again(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("slash")
        await room.type_text("login")
        modes = []
        for _ in range(4):
            await room.press("tab")
            modes.append(room.box.mode)
        assert modes == ["meaning", "words", "exact", "hybrid"]
        asked = [call for call in room.memory.asked if call.startswith("search ")]
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
        seen = [room.transcript.place]
        for key in ("n", "n", "N", "N"):
            await room.press(key)
            seen.append(room.transcript.place)
        assert seen == [(1, 0), (4, 0), (2, 0), (4, 0), (1, 0)]


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
        assert not [call for call in room.memory.asked if call.startswith(("end", "delete"))]
        assert len(room.app.screen_stack) == 1


async def test_the_scope_limits_the_search(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.search("login")
        await room.press("ctrl+g")
        assert "Nothing matches “login” by hybrid." in room.text()


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
async def test_titles_come_first_each_band_is_counted_and_each_hit_says_why(
    paths: Paths, size: tuple[int, int]
) -> None:
    memory = MemoryInProcess()
    memory.add("the login page", ("user", "make it blue"))
    memory.add("tokens", ("user", "after the login it is lost"), ("agent", "LOGIN again"))
    async with sessions(paths, memory, size) as room:
        await room.search("login")
        assert "titles 1 · words 1 · meaning 0" in room.text()
        assert room.titles() == ["the login page", "tokens"]
        assert [why(row) for row in _loaded(room)] == ["title", "words: login"]
        if size == SMALL:
            assert "words: login" in room.text()  # a row has room for it
        await room.press("escape")
        assert "titles 1" not in room.text()


async def test_a_miss_offers_the_way_that_finds_something(paths: Paths) -> None:
    memory = MemoryInProcess()
    memory.add("tokens", ("user", "after the login"))
    memory.blind = {"hybrid", "exact"}
    async with sessions(paths, memory) as room:
        await room.search("login")
        assert "0 by hybrid; 1 by meaning: tab (1 by words)" in room.text()
        await room.press("slash", "tab")
        assert room.box.mode == "meaning"
        assert room.titles() == ["tokens"]
        await room.press("tab")
        assert str(room.box.mode) == "words"
        memory.blind = set(MODES)
        await room.press("tab")
        assert "tab tries the other ways of searching." in room.text()


def _loaded(room: Room) -> list[Row]:
    found = (room.rows.source.at(index) for index in range(room.rows.source.total))
    return [row for row in found if row is not None]


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
async def test_hits_open_in_place_and_close_again(paths: Paths, size: tuple[int, int]) -> None:
    async with sessions(paths, size=size) as room:
        await room.search("login")
        await room.press("right")
        assert "1 of 2" in room.text()
        assert "2 of 2" in room.text()
        assert room.rows.cursor == 1
        assert room.rows.source.total == 4
        await room.press("j")
        assert room.transcript.place == (4, 0)
        await room.press("right")
        assert "no hits are folded here" in room.desk.notices()
        await room.press("left")
        assert (room.rows.cursor, room.rows.source.total) == (0, 2)
        await room.press("j", "right", "j")
        assert room.transcript.place == (2, 0)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
async def test_a_search_is_kept_by_a_name_and_found_again(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, size=size) as room:
        await room.press("s")
        assert "there is no search to keep" in room.desk.notices()
        await room.search("login")
        await room.press("s", *"found", "enter")
        assert "kept as “found”" in room.desk.notices()
        await room.press("escape", "apostrophe")
        assert "found " in room.text()
        await room.press("enter")
        assert room.box.text == "login"
        assert len(room.titles()) == 2
        await room.press("apostrophe", "x")
        assert "None yet" in room.text()
        await room.press("escape", "apostrophe")
        assert "None yet" in room.text()


async def test_a_kept_search_is_shown_where_a_session_was_read_full_screen(paths: Paths) -> None:
    async with sessions(paths, size=SMALL) as room:
        await room.search("login")
        await room.press("s", "enter")
        await room.press("escape", "enter")
        assert room.view.has_class("-reading")
        await room.press("apostrophe")
        await room.press("enter")
        assert room.rows.has_focus
        assert not room.view.has_class("-reading")
        assert len(room.titles()) == 2


def test_searches_that_are_kept_and_taken_out_at_once_are_all_obeyed(tmp_path: Path) -> None:
    file = tmp_path / "searches.json"
    for number in range(32):
        keep(file, SavedSearch(f"old {number}", "query"))

    def change(number: int) -> None:
        drop(file, f"old {number}")
        keep(file, SavedSearch(f"new {number}", "query"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(32)))
    assert sorted(one.name for one in load(file)) == sorted(f"new {one}" for one in range(32))


def test_a_file_of_searches_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "searches.json"
    search = SavedSearch("a", "query", "exact")
    assert load(file) == ()
    keep(file, SavedSearch("b", "other"))
    keep(file, search)
    keep(file, SavedSearch("b", "another"))
    assert [(one.name, one.query) for one in load(file)] == [("b", "another"), ("a", "query")]
    assert file.stat().st_mode & 0o077 == 0
    drop(file, "b")
    assert load(file) == (search,)
    for broken in (b"{", b'[{"name": 1}]', b'[{"name":"a","query":"b","mode":"odd"}]', b"\xff"):
        file.write_bytes(broken)
        with pytest.raises(SettingsError, match="cannot be read"):
            keep(file, search)
        assert file.read_bytes() == broken
