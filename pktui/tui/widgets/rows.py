"""A list that draws only the rows in its window, however many there are.

It never blocks: rows that are not loaded are drawn as placeholders, and the source is told which
rows the window wants, so that it can start a worker and call `changed` when they are there.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
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
from pktui.tui.moments import day_of, day_words
from pktui.tui.theme import Ink, ink_of

if TYPE_CHECKING:
    from datetime import date

    from textual import events
    from textual.binding import BindingType
    from textual.geometry import Region

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)

# A piece of text, already visible and on one line, with its style.
Run = tuple[str, Style]


class RowSource(Protocol[T_co]):
    """Rows by index. Both are cheap and never block."""

    @property
    def total(self) -> int:
        """The number of rows, loaded or not."""

    def at(self, index: int) -> T_co | None:
        """Return a row, or `None` while it is not loaded."""

    def want(self, first: int, last: int) -> None:
        """Be told that rows `first` to `last`, both included, are in the window."""


class Columned(Protocol[T_contra]):
    """Rows in columns: `Grid`."""

    def see(self, items: Sequence[T_contra]) -> bool:
        """Make room for rows that are in the window; true where that changed the columns."""

    def draw(self, item: T_contra, pen: Pen) -> Sequence[Run]:
        """Draw a row on one line."""

    def heads(self, pen: Pen) -> Sequence[Run]:
        """Draw the titles of the columns."""


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
class Groups(Generic[T]):
    """Puts a head over the rows that follow one another in one group.

    `group` tells what a row belongs to, `None` where it stands under no head.
    """

    group: Callable[[T], Any]
    words: Callable[[Any], str]


def days(at_us: Callable[[T], int | None], clock: Callable[[], int]) -> Groups[T]:
    """Return the groups of rows by the day on which each was; `None`: on none."""

    def group(item: T) -> date | None:
        at = at_us(item)
        return None if at is None else day_of(at)

    return Groups(group, lambda day: day_words(day, day_of(clock())))


@dataclass(frozen=True, slots=True)
class Pen:
    """What a row is drawn with. `width` is in cells, the cursor's gutter already taken off."""

    width: int
    ink: Ink
    glyphs: Glyphs
    under_cursor: bool


# Draws a row as one sequence of runs for each of its lines; lines are cut and padded.
Draw = Callable[[T, Pen], Sequence[Sequence[Run]]]

# Cells at the left of a row, for the cursor, and at its right.
GUTTER, RIM = 2, 1
RIGHT = 3


class Rows(ScrollView, Generic[T], can_focus=True):
    """The list. Styled by its own `.tcss`; colours inside come from `Ink`."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("list")
    ALLOW_SELECT = False

    cursor: reactive[int] = reactive(0, repaint=False)
    follow: reactive[bool] = reactive(False, repaint=False)
    """True: the cursor stays on the last row as rows arrive; moving up ends it."""

    widened: reactive[int] = reactive(0, repaint=False)
    """How often the columns of the grid became wider."""

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

    class Menu(Message):
        """A right click on a row, which is under the cursor now."""

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
        draw: Draw[T] | None = None,
        *,
        row_height: int = 1,
        groups: Groups[T] | None = None,
        grid: Columned[T] | None = None,
        in_time: Callable[[T], object] | None = None,
        can_follow: bool = False,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002
    ) -> None:
        """`in_time` gives what of a row is another as time passes, such as the text of its age."""
        super().__init__(id=id)
        self.source = source
        self._draw = draw
        self._row_height = row_height
        self.groups, self.grid = groups, grid
        self._in_time = in_time
        # What stands there of the rows that were drawn, and the day of the heads over them.
        self._stands: dict[int, object] = {}
        self._day: date | None = None
        # The rows that begin a group, and the line of each one's head.
        self._begin: list[int] = []
        self._head_at: list[int] = []
        self._can_follow = can_follow
        self._glyphs = glyphs
        self._ink: Ink | None = None
        self._ground: Style | None = None
        self._announced: tuple[int, T | None, bool] | None = None
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
        self._draw = draw if draw is not None or self.grid is not None else self._draw
        self._row_height = row_height or self._row_height
        self.set_reactive(Rows.cursor, cursor)
        self._announced = None
        self.changed()
        if reveal:
            self._reveal()

    def changed(self) -> None:
        """Tell that rows were loaded, added or taken away; keeps the cursor's index."""
        self._begin_groups()
        self._stands = {}
        self.virtual_size = Size(self.size.width, self._line_of(self.source.total))
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
        before = self._line_of(self.cursor)
        self.set_reactive(Rows.cursor, self.cursor + count)
        self.changed()
        down = self._line_of(self.cursor) - before
        self.scroll_to(y=self.scroll_offset.y + down, animate=False, force=True)

    def pass_time(self, now_us: int) -> None:
        """Draw again what of the rows in sight is another at this moment."""
        before, self._day = self._day, day_of(now_us)
        if before not in (None, self._day):
            self.refresh()
        if self._in_time is None:
            return
        for index, _ in self.lines_in_sight():
            item = self.source.at(index)
            if item is not None and self._stands.get(index) != self._in_time(item):
                self.refresh_lines(self._line_of(index), self._row_height)

    def say_empty(self, lines: Sequence[tuple[str, str]]) -> None:
        """Set what stands there while there are no rows: texts with the names of their inks."""
        if lines != self._empty:
            self._empty = lines
            self.refresh()

    @property
    def current(self) -> T | None:
        """The row under the cursor, `None` where there is none or it is not loaded."""
        return self.source.at(self.cursor) if self.cursor < self.source.total else None

    @property
    def opens_something(self) -> bool:
        """Whether the row under the cursor can be chosen."""
        return self.current is not None

    def offers(self, command: str) -> bool:
        """Tell whether an action would do something now; the key line leaves others out."""
        return command != "choose" or self.opens_something

    def lines_in_sight(self) -> Iterator[tuple[int, int]]:
        """Yield each row that begins in the window, and at which of its lines."""
        for y in range(self.size.height):
            index, part = self._row_at(self.scroll_offset.y + y)
            if part == 0 and index < self.source.total:
                yield index, y

    def move_to(self, index: int) -> None:
        """Put the cursor on a row and bring it into the window."""
        last = max(0, self.source.total - 1)
        index = min(max(index, 0), last)
        if self._can_follow:
            self._set_follow(index == last and self.source.total > 0)
        self.cursor = index
        self._reveal()

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw a part of the window; Textual works out the ground anew for each who asks for it."""
        self._ground = self.rich_style
        try:
            return super().render_lines(crop)
        finally:
            self._ground = None

    def render_line(self, y: int) -> Strip:
        """Draw one line of the window."""
        ink = self._inks()
        width = self.scrollable_content_region.width
        index, part = self._row_at(self.scroll_offset.y + y)
        if part < 0:
            return self._group_line(index, width)
        if index >= self.source.total:
            return self._empty_line(y, width)
        chosen = index == self.cursor
        item = self.source.at(index)
        if item is None:
            runs: Sequence[Run] = [(self._glyphs.dot * 3, ink.faint)] if part == 0 else []
        else:
            if self._in_time is not None:
                self._stands[index] = self._in_time(item)
            lines = self._lines_of(item, Pen(width - GUTTER - RIM, ink, self._glyphs, chosen))
            runs = lines[part] if part < len(lines) else []
        return self._strip(runs, width, chosen)

    def _lines_of(self, item: T, pen: Pen) -> Sequence[Sequence[Run]]:
        if self._draw is not None:
            return self._draw(item, pen)
        return [self.grid.draw(item, pen)] if self.grid is not None else []

    def _group_line(self, index: int, width: int) -> Strip:
        item, ink, words = self.source.at(index), self._inks(), ""
        if self.groups is not None and item is not None:
            words = self.groups.words(self.groups.group(item))
        rule = self._glyphs.rule * max(0, width - GUTTER - len(words) - 2)
        line = [Segment(" " * GUTTER), Segment(f"{words} ", ink.dim), Segment(rule, ink.line)]
        return Strip(line).adjust_cell_length(width, Style()).apply_style(self._under())

    def _empty_line(self, y: int, width: int) -> Strip:
        strip = Strip([])
        if self.source.total == 0 and y > 0:
            lines = _wrapped(tuple(self._empty), max(8, width - 4))
            if y <= len(lines):
                text, ink = lines[y - 1]
                strip = Strip([Segment(f"  {text}", getattr(self._inks(), ink))])
        return strip.adjust_cell_length(width, Style()).apply_style(self._under())

    def _strip(self, runs: Sequence[Run], width: int, chosen: bool) -> Strip:
        ink = self._inks()
        gutter = Segment(f"{self._glyphs.cursor} " if chosen else "  ",
                         ink.accent if self.has_focus else ink.faint)  # fmt: skip
        segments = [gutter, *(Segment(text, style) for text, style in runs)]
        strip = Strip(segments).adjust_cell_length(width, Style())
        base = self._under()
        if chosen:
            base += ink.cursor if self.has_focus else ink.cursor_blur
        return strip.apply_style(base)

    def _under(self) -> Style:
        return self.rich_style if self._ground is None else self._ground

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
        in_sight = not before or self._reaches(self.scroll_offset.y, before)
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
        index, part = self._row_at(self.scroll_offset.y + event.y)
        if index >= self.source.total or part < 0:
            return
        self.move_to(index)
        if event.button == RIGHT:
            self.focus()
            self.post_message(self.Menu())
        elif event.chain == 2:
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
            self.refresh_lines(self._line_of(index), self._row_height)
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

    def _begin_groups(self) -> None:
        """Find the rows that begin a group among those that are loaded."""
        self._begin = []
        if self.groups is not None:
            before = None
            for index in range(self.source.total):
                item = self.source.at(index)
                if item is None:
                    break
                group = self.groups.group(item)
                if group not in (before, None):
                    self._begin.append(index)
                before = group
        self._head_at = [row * self._row_height + at for at, row in enumerate(self._begin)]

    def _line_of(self, index: int) -> int:
        """Return the first line of a row."""
        return index * self._row_height + bisect_right(self._begin, index)

    def _row_at(self, line: int) -> tuple[int, int]:
        """Return the row of a line, and which of its lines that is; -1: the head over it."""
        heads = bisect_right(self._head_at, line)
        if heads and self._head_at[heads - 1] == line:
            return self._begin[heads - 1], -1
        return divmod(line - heads, self._row_height)

    @property
    def _page(self) -> int:
        return max(1, self.size.height // self._row_height)

    def _window(self) -> tuple[int, int]:
        first, _ = self._row_at(self.scroll_offset.y)
        return first, min(self.source.total - 1, first + self._page + 1)

    def _want(self) -> None:
        first, last = self._window()
        if last >= first:
            self.source.want(first, last)
        if self.grid is not None:
            items = (self.source.at(index) for index in range(first, last + 1))
            if self.grid.see([item for item in items if item is not None]):
                self.refresh()
                self.widened += 1

    def _set_follow(self, follow: bool) -> None:
        if self._can_follow and follow != self.follow:
            self.follow = follow
            self.post_message(self.FollowChanged(self, follow))

    def _reaches(self, first: int, height: int) -> bool:
        """Tell whether a window of that height holds the cursor's first line."""
        return first <= self._line_of(self.cursor) < first + height

    def _reveal(self) -> None:
        if not self.size.height:
            return  # not laid out yet
        top = self._line_of(self.cursor)
        bottom = top + self._row_height
        first = top - (self._row_at(top - 1)[1] < 0)
        if first < self.scroll_offset.y:
            self.scroll_to(y=first, animate=False, force=True)
        elif bottom > self.scroll_offset.y + self.size.height:
            self.scroll_to(y=bottom - self.size.height, animate=False, force=True)

    def _announce(self) -> None:
        state = (self.cursor, self.current, self.opens_something)
        if state != self._announced:
            if self._announced is None or self._announced[2] != state[2]:
                self.refresh_bindings()
            self._announced = state
            self.post_message(self.Moved(self))


@lru_cache(maxsize=4)
def _wrapped(texts: tuple[tuple[str, str], ...], width: int) -> tuple[tuple[str, str], ...]:
    return tuple((line, ink) for text, ink in texts for line in textwrap.wrap(text, width) or [""])
