from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from textual.app import App, ComposeResult

from pktui.tui.moments import DAY
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run, days

if TYPE_CHECKING:
    from textual.pilot import Pilot

MANY = 100_000


class Slow:
    """Rows that come only when they are given; remembers what the window wanted."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.there: dict[int, str] = {}
        self.wanted: list[tuple[int, int]] = []

    def at(self, index: int) -> str | None:
        return self.there.get(index)

    def want(self, first: int, last: int) -> None:
        self.wanted.append((first, last))


def draw(item: str, pen: Pen) -> Sequence[Sequence[Run]]:
    return [[(item, pen.ink.text)], [("second line", pen.ink.dim)]]


class RowsApp(App[None]):
    CSS = "Rows { scrollbar-size-vertical: 0; }"
    CLICK_CHAIN_TIME_THRESHOLD = 60

    def __init__(self, rows: Rows[str]) -> None:
        super().__init__()
        self.rows = rows
        self.chosen: list[str] = []
        self.follows: list[bool] = []

    def compose(self) -> ComposeResult:
        yield self.rows

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self.chosen.append(event.item)

    def on_rows_follow_changed(self, event: Rows.FollowChanged) -> None:
        self.follows.append(event.follow)

    def text(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


def _items(count: int) -> ListSource[str]:
    return ListSource([f"row {number}" for number in range(count)])


async def _press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await pilot.pause()


@pytest.mark.parametrize(
    ("keys", "cursor"),
    [
        (("j", "j", "k"), 1),
        (("down", "down", "up"), 1),
        (("G",), MANY - 1),
        (("G", "g"), 0),
        (("end", "home"), 0),
        (("ctrl+d",), 10),
        (("ctrl+d", "ctrl+u"), 0),
        (("pagedown",), 20),
        (("pagedown", "pageup"), 0),
        (("k",), 0),
    ],
)
async def test_keys_move_the_cursor_and_keep_it_in_the_window(
    keys: tuple[str, ...], cursor: int
) -> None:
    app = RowsApp(Rows(_items(MANY), draw))
    async with app.run_test(size=(40, 20)) as pilot:
        await _press(pilot, *keys)
        assert app.rows.cursor == cursor
        assert f"▌ row {cursor}" in app.text()


async def test_a_hundred_thousand_rows_are_there_at_once() -> None:
    rows = Rows(ListSource[str](), draw)
    app = RowsApp(rows)
    async with app.run_test(size=(80, 24)) as pilot:
        source = _items(MANY)
        began = time.process_time()
        rows.show(source)
        await pilot.pause()
        assert time.process_time() - began < 1
        assert app.text()[23] == "  row 23"


async def test_rows_that_are_not_there_are_placeholders_until_they_come() -> None:
    source = Slow(1_000)
    rows = Rows(source, draw)
    app = RowsApp(rows)
    async with app.run_test(size=(40, 10)) as pilot:
        assert app.text()[0] == "▌ ···"
        await _press(pilot, "G")
        first, last = source.wanted[-1]
        assert first <= 990
        assert last == 999
        source.there = {number: f"late {number}" for number in range(first, last + 1)}
        rows.changed()
        await pilot.pause()
        assert "▌ late 999" in app.text()


async def test_enter_and_a_double_click_choose_a_row() -> None:
    app = RowsApp(Rows(_items(5), draw))
    async with app.run_test(size=(40, 10)) as pilot:
        await _press(pilot, "j", "enter")
        await pilot.click(Rows, offset=(4, 3), times=2)
        await pilot.pause()
        assert app.chosen == ["row 1", "row 3"]
        assert app.rows.cursor == 3


async def test_a_click_below_the_last_row_does_nothing() -> None:
    app = RowsApp(Rows(_items(2), draw))
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.click(Rows, offset=(4, 8))
        assert app.rows.cursor == 0


async def test_following_keeps_the_last_row_and_moving_up_pauses_it() -> None:
    items = [f"row {number}" for number in range(50)]
    rows = Rows(ListSource(items), draw, can_follow=True)
    app = RowsApp(rows)
    async with app.run_test(size=(40, 10)) as pilot:
        assert rows.cursor == 49
        items.append("row 50")
        rows.changed()
        await pilot.pause()
        assert app.text()[-1] == "▌ row 50"
        await _press(pilot, "k")
        before = app.text()
        items.append("row 51")
        rows.changed()
        await pilot.pause()
        assert app.text() == before
        await _press(pilot, "G")
        assert app.text()[-1] == "▌ row 51"
        assert app.follows == [False, True]


async def test_rows_that_come_before_do_not_move_what_is_read() -> None:
    items = [f"row {number}" for number in range(100)]
    rows = Rows(ListSource(items), draw)
    app = RowsApp(rows)
    async with app.run_test(size=(40, 10)) as pilot:
        await _press(pilot, *["j"] * 30)
        before = app.text()
        items[:0] = ["new 1", "new 2"]
        rows.shifted(2)
        await pilot.pause()
        assert app.text() == before


async def test_an_empty_list_says_why() -> None:
    rows = Rows(ListSource[str](), draw)
    app = RowsApp(rows)
    async with app.run_test(size=(40, 10)) as pilot:
        rows.say_empty([("Nothing yet.", "text"), ("Do this.", "dim")])
        await pilot.pause()
        assert app.text()[1:3] == ["  Nothing yet.", "  Do this."]


async def test_rows_may_have_two_lines() -> None:
    app = RowsApp(Rows(_items(50), draw, row_height=2))
    async with app.run_test(size=(40, 10)) as pilot:
        await _press(pilot, "j")
        assert app.text()[2:4] == ["▌ row 1", "▌ second line"]
        await _press(pilot, "G")
        assert app.text()[-2:] == ["▌ row 49", "▌ second line"]


async def test_a_cursor_in_sight_stays_in_sight_in_a_lower_window() -> None:
    app = RowsApp(Rows(_items(MANY), draw))
    async with app.run_test(size=(40, 20)) as pilot:
        app.rows.move_to(15)
        await pilot.resize_terminal(40, 8)
        await pilot.pause()
        assert "▌ row 15" in app.text()


async def test_a_lower_window_does_not_move_what_is_read_away_from_the_cursor() -> None:
    app = RowsApp(Rows(_items(MANY), draw))
    async with app.run_test(size=(40, 20)) as pilot:
        app.rows.scroll_to(y=50, animate=False, force=True)
        await pilot.pause()
        await pilot.resize_terminal(40, 8)
        await pilot.pause()
        assert app.text()[0] == "  row 50"


NOON_US = 1_795_003_200_000_000  # 18 November 2026, 12:00 UTC


def dated() -> Rows[str]:
    """Rows of which three are of one day; a new one is of the day after the first."""
    return Rows(
        ListSource([f"row {number}" for number in range(12)]),
        lambda item, pen: [[(item, pen.ink.text)]],
        groups=days(lambda item: NOON_US - int(item.split()[1]) // 3 * DAY, lambda: NOON_US),
    )


async def test_a_head_stands_over_the_rows_of_each_day() -> None:
    app = RowsApp(dated())
    async with app.run_test(size=(30, 20)) as pilot:
        await pilot.pause()
        text = app.text()
        assert [line.split("─")[0].strip() for line in text[:16:4]] == [
            "Today", "Yesterday", "Monday 16 November", "Sunday 15 November",
        ]  # fmt: skip
        assert [line.strip() for line in text[5:8]] == ["row 3", "row 4", "row 5"]


async def test_the_cursor_and_clicks_pass_over_the_heads_of_days() -> None:
    app = RowsApp(dated())
    async with app.run_test(size=(30, 6)) as pilot:
        app.rows.focus()
        await pilot.press(*["j"] * 5)
        assert app.rows.current == "row 5"
        assert "▌ row 5" in app.text()[-1]
        await pilot.press(*["k"] * 5)
        assert app.text()[0].startswith("  Today")
        assert "▌ row 0" in app.text()[1]
        await pilot.click(offset=(4, 4))
        assert app.rows.cursor == 0
        await pilot.click(offset=(4, 5))
        assert app.rows.current == "row 3"


async def test_what_is_read_stays_where_it_is_when_another_day_comes_before_it() -> None:
    rows = dated()
    app = RowsApp(rows)
    async with app.run_test(size=(30, 6)) as pilot:
        app.rows.focus()
        await pilot.press("G")
        before = app.text()
        source = rows.source
        assert isinstance(source, ListSource)
        source.items = ["row -1", *source.items]
        rows.shifted(1)
        await pilot.pause()
        assert app.text() == before


async def test_time_draws_only_the_rows_in_sight_that_are_another_by_then() -> None:
    ages, drawn = {"row 1": "59 s", "row 90": "59 s"}, list[str]()

    def of_age(item: str, pen: Pen) -> Sequence[Sequence[Run]]:
        drawn.append(item)
        return [[(f"{item} {ages.get(item, '2 h')}", pen.ink.text)]]

    rows = Rows(_items(100), of_age, in_time=lambda item: ages.get(item, "2 h"))
    app = RowsApp(rows)
    async with app.run_test(size=(40, 10)) as pilot:
        rows.pass_time(0)
        await pilot.pause()
        drawn.clear()
        ages["row 1"] = ages["row 90"] = "1 min"
        rows.pass_time(0)
        await pilot.pause()
        assert drawn == ["row 1"]
        assert "row 1 1 min" in app.text()[1]
        rows.pass_time(0)
        await pilot.pause()
        assert drawn == ["row 1"]


async def test_heads_over_days_are_drawn_anew_once_it_is_another_day() -> None:
    now = [20 * DAY + DAY // 2]
    rows = Rows(_items(3), draw, groups=days(lambda _: 20 * DAY + DAY // 2, lambda: now[0]))
    app = RowsApp(rows)
    async with app.run_test(size=(40, 10)) as pilot:
        rows.pass_time(now[0])
        await pilot.pause()
        assert "Today" in app.text()[0]
        now[0] += DAY
        rows.pass_time(now[0])
        await pilot.pause()
        assert "Yesterday" in app.text()[0]
