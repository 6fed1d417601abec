"""The titles over the columns of a list; a click on one sorts by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from pktui.tui.theme import ink_of
from pktui.tui.widgets.rows import GUTTER, RIM, Pen, Rows, Run

if TYPE_CHECKING:
    from textual import events

    from pktui.tui.glyphs import Glyphs


class Heads(Widget):
    """One faint line: the titles of the rows' grid, or what `draw` gives for a width."""

    ALLOW_SELECT = False

    # The heads of the column that is sorted by.
    by: reactive[frozenset[str]] = reactive(frozenset())

    class Clicked(Message):
        """A title was clicked."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(
        self,
        rows: Callable[[], Rows[Any]],
        glyphs: Glyphs,
        draw: Callable[[Pen], Sequence[Run]] | None = None,
    ) -> None:
        super().__init__()
        self._rows, self._draw, self._glyphs = rows, draw, glyphs

    def on_mount(self) -> None:
        """Follow the columns."""
        self.watch(self._rows(), "widened", self._draw_again, init=False)

    def _draw_again(self) -> None:
        self.refresh()

    def _runs(self) -> Sequence[Run]:
        rows = self._rows()
        width = rows.scrollable_content_region.width - GUTTER - RIM
        pen = Pen(width, ink_of(self.app), self._glyphs, under_cursor=False)
        if self._draw is not None:
            return self._draw(pen)
        return rows.grid.heads(pen) if rows.grid is not None else ()

    def render_line(self, y: int) -> Strip:
        """Draw the titles."""
        chosen = ink_of(self.app).accent
        runs = self._runs() if y == 0 else ()
        segments = [
            Segment(text, chosen if text.strip() in self.by else style) for text, style in runs
        ]
        strip = Strip([Segment(" " * GUTTER), *segments])
        return strip.adjust_cell_length(self.size.width, Style()).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Name the title under the pointer."""
        at = GUTTER
        for text, _ in self._runs():
            if at <= event.x < at + len(text) and text.strip():
                self.post_message(self.Clicked(text.strip()))
            at += len(text)
