from __future__ import annotations

from datetime import UTC, date, datetime
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from pktui.memory.records import Facets
from pktui.text import has_hidden
from pktui.tui.views.sessions.facets import (
    WEEKS,
    FacetList,
    FacetScreen,
    edges_us,
    facet_rows,
    mondays,
    with_facet,
)
from pktui.tui.views.sessions.query_bar import QueryBar
from tests.support.memory import MemoryInProcess
from tests.tui.house import HOSTILE, LARGE, PATIENCE, SMALL
from tests.tui.views.sessions.room import Room, sessions, shop_memory

if TYPE_CHECKING:
    from pktui.settings import Paths

ROOMY = (160, 40)


def _facets(room: Room) -> FacetList:
    return room.app.query_one("#session-facet-rows", FacetList)


def _counts(facets: FacetList) -> dict[str, int]:
    rows = (facets.source.at(at) for at in range(facets.source.total))
    return {row.label.strip(): row.count for row in rows if row is not None and row.count}


@pytest.mark.parametrize("size", [(140, 36), ROOMY], ids=["140x36", "160x40"])
async def test_facets_stand_beside_the_list_with_their_counts(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, size=size) as room:
        assert _counts(_facets(room)) == {
            "claude-code": 1, "codex": 1, "opencode": 1, "ada/shop": 1, "me/shop": 1, "infra": 1,
            "2 Mar": 3,
        }  # fmt: skip
        await room.search("login")
        assert _counts(_facets(room)) == {
            "claude-code": 1, "opencode": 1, "shop": 1, "infra": 1, "2 Mar": 2,
        }  # fmt: skip


async def test_f_and_a_letter_take_the_value_of_the_row_under_the_cursor(paths: Paths) -> None:
    async with sessions(paths, size=ROOMY) as room:
        await room.press("j", "F")
        assert _facets(room).has_focus
        await room.press("a")
        assert room.rows.has_focus
        assert room.box.text == "agent:=opencode"
        assert room.titles() == ["migrate postgres"]
        bar = room.app.query_one(QueryBar)
        assert [chip.text for chip in bar.chips] == ["agent:=opencode"]
        await room.press("F", "w")
        assert room.box.text == "agent:=opencode after:2026-03-02 before:2026-03-09"
        assert room.titles() == ["migrate postgres"]
        await room.press("F", "a")
        assert room.box.text == "after:2026-03-02 before:2026-03-09"
        assert len(room.titles()) == 3
        await room.press("backspace")
        assert room.box.text == "after:2026-03-02"
        await room.press("backspace")
        assert room.box.text == ""
        assert not bar.display
        await room.press("backspace")
        assert "nothing is filtered" in room.desk.notices()


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
async def test_where_there_is_no_room_the_same_keys_answer_over_the_view(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, size=size) as room:
        await room.press("F")
        screen = room.app.screen
        assert isinstance(screen, FacetScreen)
        assert "agents a" in room.text()
        await room.press("p")
        assert room.box.text == "project:=/home/me/shop"
        assert room.titles() == ["checkout is slow"]
        await room.press("F", "p")
        assert room.box.text == ""
        await room.press("F", "escape")
        assert room.rows.has_focus
        await room.press("F", "j", "enter")
        assert room.box.text == "agent:=codex"
        assert room.titles() == ["checkout is slow"]
        assert "1 session" in room.text()


@pytest.mark.parametrize("size", [SMALL, ROOMY], ids=["80x24", "160x40"])
async def test_a_letter_typed_before_the_facets_are_counted_is_obeyed(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, size=size) as room:
        await room.desk.burst("F", "a")
        await room.press()
        assert room.box.text == "agent:=codex"
        assert room.titles() == ["checkout is slow"]
        assert len(room.app.screen_stack) == 1


async def test_a_search_keeps_its_words_beside_the_filters(paths: Paths) -> None:
    async with sessions(paths, size=ROOMY) as room:
        await room.search("login")
        await room.press("F", "a")
        assert room.box.text == "login agent:=claude-code"
        assert room.titles() == ["debugging auth"]
        assert "1 of 2 hits" in room.text()
        await room.press("escape")
        assert room.box.text == ""


async def test_a_click_takes_a_value_and_a_click_on_its_chip_drops_it(paths: Paths) -> None:
    async with sessions(paths, size=ROOMY) as room:
        facets = _facets(room)
        at = next(
            at for at in range(facets.source.total)
            if (row := facets.source.at(at)) is not None and row.label == "opencode"
        )  # fmt: skip
        await room.desk.pilot.click(facets, offset=(4, at))
        await room.press()
        assert room.titles() == ["migrate postgres"]
        await room.desk.pilot.click(QueryBar, offset=(4, 0))
        await room.press()
        assert len(room.titles()) == 3


async def test_a_filter_that_leaves_nothing_says_how_to_drop_it(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.search("agent:=nobody")
        assert "No session fits “agent:=nobody”." in room.text()
        await room.press("backspace")
        assert len(room.titles()) == 3


async def test_names_of_agents_are_made_visible_and_what_cannot_be_typed_says_so(
    paths: Paths,
) -> None:
    memory = MemoryInProcess()
    memory.add("one", ("user", "hi"), agent=HOSTILE, project=f"/srv/{HOSTILE}")
    async with sessions(paths, memory, ROOMY) as room:
        assert not has_hidden(room.text())
        await room.press("F", "a")
        assert "what cannot be typed" in room.desk.notices()
        assert room.box.text == ""


def test_a_value_takes_the_place_of_another_of_its_facet_alone() -> None:
    days = mondays(round(datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp() * 1_000_000))
    assert (len(days), days[-1]) == (WEEKS, date(2026, 3, 2))
    assert list(edges_us(days)) == sorted(edges_us(days))
    facets = Facets(
        (("codex", 2), ("", 1)), (("/srv/my infra", 3), ('/srv/a"b', 1)),
        (4, *[0] * (WEEKS - 1), 2),
    )  # fmt: skip
    rows = {row.label.strip(): row for row in facet_rows(facets, days, "", None)}
    text = with_facet('login agent:claude project:"=/x y" -agent:old', rows["codex"])
    assert text == 'login project:"=/x y" -agent:old agent:=codex'
    assert (
        with_facet(text, rows["my infra"])
        == 'login -agent:old agent:=codex project:"=/srv/my infra"'
    )
    assert with_facet("since:7d x", rows["earlier"]) == f"x before:{days[0]}"
    assert with_facet("x", rows["no agent"]) == "x agent:="
    assert rows['a"b'].filters == ""
    held = {row.label: row for row in facet_rows(facets, days, text, None)}["codex"]
    assert held.held
    assert with_facet(text, held) == 'login project:"=/x y" -agent:old'


async def test_counts_follow_what_changes(paths: Paths) -> None:
    memory = shop_memory()
    async with sessions(paths, memory, ROOMY) as room:
        memory.add("a fourth", ("user", "hi"), agent="codex")
        room.view.shown()
        await room.desk.settle()
        assert _counts(_facets(room))["codex"] == 2


async def test_facets_of_no_session_say_so(paths: Paths) -> None:
    async with sessions(paths, MemoryInProcess(), size=SMALL) as room:
        await room.press("F")
        assert "no session is listed" in room.text()


async def test_facets_that_cannot_be_counted_say_so(paths: Paths) -> None:
    async with sessions(paths, size=SMALL) as room:
        room.memory.down = True
        await room.press("F")
        assert "not counted" in room.text()
        assert "counting" not in room.text()
        await room.press("escape")
        assert len(room.app.screen_stack) == 1


async def test_facets_that_are_left_before_they_are_counted_harm_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, go = shop_memory(), Event()
    count = memory.facets

    def later(*given: Any, **named: Any) -> Facets:
        assert go.wait(PATIENCE)
        return count(*given, **named)

    async with sessions(paths, memory, SMALL) as room:
        monkeypatch.setattr(memory, "facets", later)
        await room.desk.pilot.press("F")
        await room.desk.pilot.press("escape")
        go.set()
        await room.press()
        assert len(room.app.screen_stack) == 1
        assert room.rows.has_focus
