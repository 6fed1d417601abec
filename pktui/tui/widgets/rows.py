"""A list that draws only the rows in its window, however many there are.

It never blocks: rows that are not loaded are drawn as placeholders, and the source is told which
rows the window wants, so that it can start a worker and call `changed` when they are there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pktui.tui.actions import bindings
from pktui.tui.glyphs import UNICODE, Glyphs
from pktui.tui.theme import Ink, ink_of

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Run = tuple[str, Style]
"""A piece of text, already visible and on one line, with its style."""


class RowSource(Protocol[T_co]):
    """Rows by index. Both are cheap and never block."""

    @property
    def total(self) -> int:
        """The number of rows, loaded or not."""

    def at(self, index: int) -> T_co | None:
        """Return a row, or `None` while it is not loaded."""

    def want(self, first: int, last: int) -> None:
        """Be told that rows `first` to `last`, both included, are in the window."""


class ListSource(Generic[T]):
    """Rows that are all there."""

    def __init__(self, items: Sequence[T] = ()) -> None:
        self.items = items

    @property
    def total(self) -> int:
        """The number of rows."""
        return len(self.items)

    def at(self, index: int) -> T | None:
        """Return a row."""
        return self.items[index] if 0 <= index < len(self.items) else None

    def want(self, first: int, last: int) -> None:
        """All rows are there."""


@dataclass(frozen=True, slots=True)
class Pen:
    """What a row is drawn with. `width` is in cells, the cursor's gutter already taken off."""

    width: int
    ink: Ink
    glyphs: Glyphs
    under_cursor: bool


Draw = Callable[[T, Pen], Sequence[Sequence[Run]]]
"""Draws a row as one sequence of runs for each of its lines; lines are cut and padded."""

GUTTER = 2


class Rows(ScrollView, Generic[T], can_focus=True):
    """The list. Styled by its own `.tcss`; colours inside come from `Ink`."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("list")
    ALLOW_SELECT = False

    cursor: reactive[int] = reactive(0, repaint=False)
    follow: reactive[bool] = reactive(False, repaint=False)
    """True: the cursor stays on the last row as rows arrive; moving up ends it."""

    class Moved(Message):
        """The cursor came to another row, or the row under it changed."""

        def __init__(self, rows: Rows[Any]) -> None:
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> Rows[Any]:
            """The list."""
            return self.rows

    class Chosen(Message):
        """Enter or a double click on a row."""

        def __init__(self, rows: Rows[Any], item: Any) -> None:
            super().__init__()
            self.rows = rows
            self.item = item

        @property
        def control(self) -> Rows[Any]:
            """The list."""
            return self.rows

    class FollowChanged(Message):
        """Following began or paused."""

        def __init__(self, rows: Rows[Any], follow: bool) -> None:
            super().__init__()
            self.rows = rows
            self.follow = follow

        @property
        def control(self) -> Rows[Any]:
            """The list."""
            return self.rows

    def __init__(
        self,
        source: RowSource[T],
        draw: Draw[T],
        *,
        row_height: int = 1,
        can_follow: bool = False,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.source = source
        self._draw = draw
        self._row_height = row_height
        self._can_follow = can_follow
        self._glyphs = glyphs
        self._ink: Ink | None = None
        self._announced: tuple[int, T | None] | None = None
        self._height = 0
        self._empty: Sequence[tuple[str, str]] = ()
        self.set_reactive(Rows.follow, can_follow)

    # What the owner calls

    def show(
        self, source: RowSource[T], *, cursor: int = 0, draw: Draw[T] | None = None,
        row_height: int | None = None,
        reveal: bool = True,
    ) -> None:  # fmt: skip
        """Show other rows; `reveal` brings the cursor into the window."""
        self.source = source
        self._draw = draw or self._draw
        self._row_height = row_height or self._row_height
        self.set_reactive(Rows.cursor, cursor)
        self._announced = None
        self.changed()
        if reveal:
            self._reveal()

    def changed(self) -> None:
        """Tell that rows were loaded, added or taken away; keeps the cursor's index."""
        self.virtual_size = Size(self.size.width, self.source.total * self._row_height)
        last = max(0, self.source.total - 1)
        if self.follow:
            self.set_reactive(Rows.cursor, last)
            self.scroll_to(y=self.virtual_size.height, animate=False, force=True)
        elif self.cursor > last:
            self.set_reactive(Rows.cursor, last)
        self._want()
        self.refresh()
        self._announce()

    def shifted(self, count: int) -> None:
        """Tell that `count` rows came before all others: what is read stays where it is."""
        self.set_reactive(Rows.cursor, self.cursor + count)
        self.changed()
        self.scroll_to(y=self.scroll_offset.y + count * self._row_height, animate=False, force=True)

    def say_empty(self, lines: Sequence[tuple[str, str]]) -> None:
        """Set what stands there while there are no rows: texts with the names of their inks."""
        if lines != self._empty:
            self._empty = lines
            self.refresh()

    @property
    def current(self) -> T | None:
        """The row under the cursor, `None` where there is none or it is not loaded."""
        return self.source.at(self.cursor) if self.cursor < self.source.total else None

    def move_to(self, index: int) -> None:
        """Put the cursor on a row and bring it into the window."""
        last = max(0, self.source.total - 1)
        index = min(max(index, 0), last)
        if self._can_follow:
            self._set_follow(index == last and self.source.total > 0)
        self.cursor = index
        self._reveal()

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Draw one line of the window."""
        ink = self._inks()
        width = self.scrollable_content_region.width
        index, part = divmod(self.scroll_offset.y + y, self._row_height)
        if index >= self.source.total:
            return self._empty_line(y, width)
        chosen = index == self.cursor
        item = self.source.at(index)
        if item is None:
            runs: Sequence[Run] = [(self._glyphs.dot * 3, ink.faint)] if part == 0 else []
        else:
            lines = self._draw(item, Pen(width - GUTTER, ink, self._glyphs, chosen))
            runs = lines[part] if part < len(lines) else []
        return self._strip(runs, width, chosen)

    def _empty_line(self, y: int, width: int) -> Strip:
        strip = Strip([])
        if self.source.total == 0 and y > 0:
            lines = _wrapped(tuple(self._empty), max(8, width - 4))
            if y <= len(lines):
                text, ink = lines[y - 1]
                strip = Strip([Segment(f"  {text}", getattr(self._inks(), ink))])
        return strip.adjust_cell_length(width, Style()).apply_style(self.rich_style)

    def _strip(self, runs: Sequence[Run], width: int, chosen: bool) -> Strip:
        ink = self._inks()
        gutter = Segment(f"{self._glyphs.cursor} " if chosen else "  ",
                         ink.accent if self.has_focus else ink.faint)  # fmt: skip
        segments = [gutter, *(Segment(text, style) for text, style in runs)]
        strip = Strip(segments).adjust_cell_length(width, Style())
        base = self.rich_style
        if chosen:
            base += ink.cursor if self.has_focus else ink.cursor_blur
        return strip.apply_style(base)

    def _inks(self) -> Ink:
        if self._ink is None:
            self._ink = ink_of(self.app)
        return self._ink

    def notify_style_update(self) -> None:
        """Take the inks of the new theme."""
        self._ink = None
        super().notify_style_update()

    # Events

    def on_mount(self) -> None:
        """Take the size of the source."""
        self.changed()

    def on_resize(self) -> None:
        """Ask for the rows that came into the window; a cursor in sight stays there."""
        before, self._height = self._height, self.size.height
        in_sight = self._reaches(self.scroll_offset.y, before)
        self.changed()
        if in_sight:
            self._reveal()

    def on_focus(self) -> None:
        """Draw the cursor row as active."""
        self.refresh()

    def on_blur(self) -> None:
        """Draw the cursor row as at rest."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the row; a double click chooses it."""
        index = (self.scroll_offset.y + event.y) // self._row_height
        if index >= self.source.total:
            return
        self.move_to(index)
        if event.chain == 2:
            self.action_choose()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for the rows that came into the window; scrolling up pauses following."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._want()
            if new_value < old_value and new_value < self.max_scroll_y:
                self._set_follow(False)

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Let the bar begin where the list is: it hears of scrolling only while it is shown."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def watch_cursor(self, before: int, now: int) -> None:
        """Redraw the two rows and tell the owner."""
        for index in (before, now):
            self.refresh_lines(index * self._row_height, self._row_height)
        self._announce()

    # Actions

    def action_down(self) -> None:
        """Next row."""
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        """Row before."""
        self.move_to(self.cursor - 1)

    def action_half_down(self) -> None:
        """Half a page down."""
        self.move_to(self.cursor + max(1, self._page // 2))

    def action_half_up(self) -> None:
        """Half a page up."""
        self.move_to(self.cursor - max(1, self._page // 2))

    def action_page_down(self) -> None:
        """A page down."""
        self.move_to(self.cursor + self._page)

    def action_page_up(self) -> None:
        """A page up."""
        self.move_to(self.cursor - self._page)

    def action_first(self) -> None:
        """First row."""
        self.move_to(0)

    def action_last(self) -> None:
        """Last row; follows from there on."""
        self.move_to(self.source.total - 1)

    def action_choose(self) -> None:
        """Open the row under the cursor."""
        item = self.current
        if item is not None:
            self.post_message(self.Chosen(self, item))
        else:
            self.app.notify("there is nothing here to open", timeout=3)

    # Inside

    @property
    def _page(self) -> int:
        return max(1, self.size.height // self._row_height)

    def _window(self) -> tuple[int, int]:
        first = self.scroll_offset.y // self._row_height
        return first, min(self.source.total - 1, first + self._page + 1)

    def _want(self) -> None:
        first, last = self._window()
        if last >= first:
            self.source.want(first, last)

    def _set_follow(self, follow: bool) -> None:
        if self._can_follow and follow != self.follow:
            self.follow = follow
            self.post_message(self.FollowChanged(self, follow))

    def _reaches(self, first: int, height: int) -> bool:
        """Tell whether a window of that height holds the cursor's first line."""
        return first <= self.cursor * self._row_height < first + height

    def _reveal(self) -> None:
        top = self.cursor * self._row_height
        bottom = top + self._row_height
        if top < self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)
        elif bottom > self.scroll_offset.y + self.size.height:
            self.scroll_to(y=bottom - self.size.height, animate=False, force=True)

    def _announce(self) -> None:
        state = (self.cursor, self.current)
        if state != self._announced:
            self._announced = state
            self.post_message(self.Moved(self))


@lru_cache(maxsize=4)
def _wrapped(texts: tuple[tuple[str, str], ...], width: int) -> tuple[tuple[str, str], ...]:
    return tuple((line, ink) for text, ink in texts for line in textwrap.wrap(text, width) or [""])
