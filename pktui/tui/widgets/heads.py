"""The titles over the columns of a list; a click on one sorts by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from pktui.tui.theme import ink_of
from pktui.tui.widgets.rows import GUTTER, Pen, Rows, Run

if TYPE_CHECKING:
    from textual import events

    from pktui.tui.glyphs import Glyphs


class Heads(Widget):
    """One faint line; `draw` gives it for a width, as the rows below are drawn."""

    ALLOW_SELECT = False

    class Clicked(Message):
        """A title was clicked."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(
        self,
        rows: Callable[[], Rows[Any]],
        draw: Callable[[Pen], Sequence[Run]],
        glyphs: Glyphs,
    ) -> None:
        super().__init__()
        self._rows, self._draw, self._glyphs = rows, draw, glyphs

    def _runs(self) -> Sequence[Run]:
        width = self._rows().scrollable_content_region.width - GUTTER
        return self._draw(Pen(width, ink_of(self.app), self._glyphs, under_cursor=False))

    def render_line(self, y: int) -> Strip:
        """Draw the titles."""
        segments = [Segment(text, style) for text, style in self._runs()] if y == 0 else []
        strip = Strip([Segment(" " * GUTTER), *segments])
        return strip.adjust_cell_length(self.size.width, Style()).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Name the title under the pointer."""
        at = GUTTER
        for text, _ in self._runs():
            if at <= event.x < at + len(text) and text.strip():
                self.post_message(self.Clicked(text.strip()))
            at += len(text)
