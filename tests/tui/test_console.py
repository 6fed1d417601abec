from __future__ import annotations

from typing import Any

import pytest

from pktui.settings import ConsoleSettings, Paths, Settings
from pktui.tui.console import LedgerSeen, MemorySeen
from pktui.tui.theme import THEMES
from pktui.tui.views.base import View
from pktui.tui.views.insight.view import InsightView
from pktui.tui.views.now.view import NowView
from pktui.tui.views.policies.view import PoliciesView
from pktui.tui.vitals import LedgerVitals, MemoryVitals
from pktui.tui.widgets.rows import Rows
from pktui.tui.widgets.top_bar import TopBar
from tests.tui.house import HOSTILE, LARGE, SMALL, House, desk, quiet_settings
from tests.tui.views.sessions.room import sessions


def _house(paths: Paths, **console: object) -> House:
    return House(paths, settings=Settings(console=ConsoleSettings(bell=False, **console)))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_header_names_the_views_and_the_scope(
    paths: Paths, size: tuple[int, int]
) -> None:
    async with sessions(paths, size=size) as room:
        header = room.text().splitlines()[0]
        for word in (
            "0 Now",
            "1 Sessions",
            "2 Feed",
            "3 Policies",
            "4 Approvals",
            "5 Insight",
            "all",
        ):
            assert word in header


async def test_digits_and_clicks_change_the_view(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("3")
        assert room.app.front == "policies"
        at = room.text().splitlines()[0].index("Sessions")
        await room.desk.pilot.click(TopBar, offset=(at, 0))
        await room.desk.settle()
        assert room.app.front == "sessions"
        assert sum(view.display for view in room.app.query(View)) == 1


async def test_a_view_is_made_when_it_first_comes_to_the_front(paths: Paths) -> None:
    async with sessions(paths) as room:
        assert [view.id for view in room.app.query(View)] == ["sessions"]


async def test_the_footer_shows_the_keys_in_force(paths: Paths) -> None:
    async with desk(_house(paths, keys={"sessions.search": "f"}), "sessions") as hands:
        footer = hands.screen_text().splitlines()[-1]
        assert "f search" in footer
        await hands.press("f")
        assert "esc list" in hands.screen_text().splitlines()[-1]
        assert "search sessions" in hands.screen_text()


async def test_a_wrong_key_in_the_settings_is_named_at_start(paths: Paths) -> None:
    async with desk(_house(paths, keys={"sessions.sarch": "f"}), "sessions") as hands:
        assert "no action sessions.sarch, did you mean sessions.search?" in hands.notices()


async def test_an_unknown_theme_is_named_and_replaced(paths: Paths) -> None:
    async with desk(_house(paths, theme="neon"), "sessions") as hands:
        assert hands.app.theme == THEMES[0].name
        assert "no theme neon" in hands.notices()


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
async def test_every_theme_draws_the_same_words(paths: Paths, theme: str) -> None:
    async with sessions(paths) as room:
        before = room.text()
        room.app.theme = theme
        await room.desk.settle()
        assert room.text() == before


async def test_the_ascii_set_needs_no_other_signs(paths: Paths) -> None:
    house = _house(paths, glyphs="ascii")
    async with desk(house, "sessions") as hands:
        signs = {letter for letter in hands.screen_text() if not letter.isascii()}
        assert signs <= set("…“”")


async def test_help_lists_the_keys_of_the_view(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("question_mark")
        assert "Search sessions, or the session that is read" in room.text()
        await room.press("escape")
        assert len(room.app.screen_stack) == 1


async def test_the_palette_finds_an_action_and_runs_it(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("ctrl+p")
        await room.type_text("watch every call")
        await room.desk.until(lambda: "Watch every call as it happens" in room.text())
        await room.press("enter")
        await room.desk.until(lambda: room.app.front == "feed")


async def test_undo_is_offered_only_where_there_is_something_to_undo(paths: Paths) -> None:
    async with sessions(paths) as room:
        assert "u undo" not in room.text().splitlines()[-1]
        await room.press("e", "enter")
        assert "u undo" in room.text().splitlines()[-1]


async def test_ctrl_c_leaves_at_the_second_press(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.leaving.SECOND_PRESS_SECONDS", 600)
    async with sessions(paths) as room:
        await room.desk.key("ctrl+c")
        assert "once more" in room.desk.notices()
        assert room.app.return_value is None
        await room.desk.key("ctrl+c")
        assert room.app.return_value == 0


async def test_q_leaves_and_is_a_letter_in_a_box(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("slash", "q")
        assert room.app.return_value is None
        assert room.box.text == "q"
        await room.press("escape")
        await room.desk.key("q")
        assert room.app.return_value == 0


async def test_notices_show_hostile_text_and_do_not_obey_it(paths: Paths) -> None:
    async with sessions(paths) as room:
        room.app.say(HOSTILE)
        await room.desk.settle()
        assert "[bold red]x[/]" in room.desk.notices()
        assert "\x1b" not in room.desk.notices()
        assert "\x1b" not in room.text()


async def test_the_title_and_header_count_what_waits(paths: Paths) -> None:
    house = House(paths, settings=quiet_settings())
    async with desk(house, "sessions") as hands:
        house.ask()
        await hands.beat()
        assert hands.app.title == "(1) pktui"
        assert "4 Approvals ▲1" in hands.screen_text()
        assert hands.app.query_one("#session-rows", Rows).has_focus


async def test_figures_that_come_as_the_console_ends_are_not_shown(paths: Paths) -> None:
    async with sessions(paths) as room:
        app = room.app
    for late in (LedgerSeen(LedgerVitals(gateways=9)), MemorySeen(MemoryVitals("down"))):
        await app._on_message(late)
    assert app.ledger.gateways != 9
    assert app.memory.state != "down"


async def test_time_passes_only_for_what_is_in_front(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, told = House(paths, settings=quiet_settings()), list[str]()
    asked = house.ask(expires_us=house.now_us + 90_000_000)
    async with desk(house, "approvals") as hands:
        await hands.press("3", "5", "0", "2")
        for kind in {type(view) for view in hands.app.query(View)}:
            passed = kind.tick

            def tick(view: View, now_us: int, passed: Any = passed) -> None:
                told.append(view.id or "")
                passed(view, now_us)

            monkeypatch.setattr(kind, "tick", tick)
        assert "1:30" in hands.screen_text()
        house.now_us += 31_000_000
        hands.app.tick()
        await hands.settle()
        assert "0:59" in hands.screen_text()  # the tray, under every view
        await hands.press("4")
        house.now_us += 9_000_000
        hands.app.tick()
        await hands.settle()
        assert told == ["feed", "approvals"]
        assert hands.screen_text().count("0:50") == 3
        house.now_us = asked.expires_us + 1
        hands.app.tick()
        await hands.settle()
        assert "expired" in hands.screen_text()


@pytest.mark.parametrize(
    ("view", "kind"), [("policies", PoliciesView), ("now", NowView), ("insight", InsightView)]
)
async def test_a_view_in_front_is_read_again_after_a_while_and_not_each_second(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, view: str, kind: Any
) -> None:
    house, times = House(paths, settings=quiet_settings()), list[int]()
    read = kind._read

    def reading(self: View, *given: object) -> None:
        times.append(house.now_us)
        read(self, *given)

    monkeypatch.setattr(kind, "_read", reading)
    async with desk(house, view) as hands:
        times.clear()
        for passed in (1_000_000, 2_000_000, 1_000_000, 60_000_000, 1_000_000):
            house.now_us += passed
            hands.app.tick()
            await hands.settle()
        assert times == [house.now_us - 1_000_000]
        house.now_us -= 3_600_000_000  # the clock was set back
        hands.app.tick()
        await hands.settle()
        assert times[1:] == [house.now_us]


async def test_the_name_of_long_work_has_room_in_80_cells(paths: Paths) -> None:
    house = House(paths, settings=quiet_settings())
    async with desk(house, "policies", SMALL) as hands:
        ended = hands.app.working(f"Exporting “{HOSTILE}{'a title ' * 40}”")
        house.now_us += 12_000_000
        hands.app.tick()
        await hands.settle()
        last = hands.screen_text().splitlines()[-1]
        assert "Exporting “" in last
        assert "… 12 s ·" in last
        assert "memory" in last
        assert "? help" in last
        ended()
        await hands.settle()
        assert "Exporting" not in hands.screen_text()
