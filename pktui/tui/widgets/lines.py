"""A few lines, as high as they need; wrapped, never scrolled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.strip import Strip
from textual.widget import Widget

from pktui.tui.document import Line, Row, lay_out
from pktui.tui.theme import ink_of
from pktui.tui.widgets.document import MARGIN, draw_row, tones_of

if TYPE_CHECKING:
    from textual.geometry import Size


class Lines(Widget):
    """Draws lines of a document without scrolling; its height is `auto`."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: tuple[Line, ...] = ()
        self._rows: tuple[Row, ...] = ()
        self._width = -1

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown."""
        return self._lines

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines."""
        if tuple(lines) == self._lines:
            return
        before = len(self._rows)
        self._lines = tuple(lines)
        self._rows_at(self._width, again=True)
        self.refresh(layout=len(self._rows) != before)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of rows at this width."""
        return len(self._rows_at(width))

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        width, ground = self.size.width, self.rich_style
        rows = self._rows_at(width)
        if y >= len(rows):
            return Strip.blank(width, ground)
        return draw_row(rows[y], tones_of(ink_of(self.app)), ground, width)

    def _rows_at(self, width: int, *, again: bool = False) -> tuple[Row, ...]:
        if width > 0 and (again or width != self._width):
            self._width = width
            self._rows = lay_out(self._lines, width - 2 * MARGIN)
        return self._rows
