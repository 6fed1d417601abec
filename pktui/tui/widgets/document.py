"""A scrolling pane of lines that knows when its last row was on screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, on, work
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import get_current_worker

from pktui.tui.actions import bindings
from pktui.tui.document import Line, Row, Tone, lay_out
from pktui.tui.theme import Ink, ink_of

if TYPE_CHECKING:
    from textual.binding import BindingType

# Characters; longer documents are laid out in a thread.
AT_ONCE = 60_000
MARGIN = 1
UNDERLINED = Style(underline=True)


def tones_of(ink: Ink) -> Mapping[Tone, Style]:
    """Return the style of each tone in these inks."""
    return {
        "text": ink.text,
        "strong": ink.bold,
        "key": ink.dim,
        "string": ink.text,
        "number": ink.info,
        "note": ink.faint,
        "heading": ink.accent,
        "added": ink.ok,
        "removed": ink.bad,
        "warning": ink.wait,
        "good": ink.ok,
        "wrong": ink.bad + UNDERLINED,
        "doubtful": ink.info + UNDERLINED,
        "hit": ink.mark,
    }


def draw_row(row: Row, tones: Mapping[Tone, Style], ground: Style, width: int) -> Strip:
    """Draw a row, as wide as asked."""
    return Strip(
        [
            Segment(" " * MARGIN, ground),
            Segment(row.lead, ground + tones[row.lead_tone]),
            *(Segment(text, ground + tones[tone]) for text, tone in row.pieces()),
        ]
    ).adjust_cell_length(width, ground)


class DocumentView(ScrollView, can_focus=True):
    """Draws lines row by row; `key` names what is shown and comes back in the messages."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("detail")]

    class LastRowShown(Message):
        """The last row of the document called `key` was drawn on the screen."""

        def __init__(self, view: DocumentView, key: str) -> None:
            super().__init__()
            self.view = view
            self.key = key

        @property
        def control(self) -> DocumentView:
            """The pane that drew it."""
            return self.view

    class Scrolled(Message):
        """Other rows came into the pane, or their number changed."""

    class _LaidOut(Message):
        def __init__(self, key: str, lines: Sequence[Line], width: int, rows: tuple[Row, ...]):
            super().__init__()
            self.key, self.lines, self.width, self.rows = key, lines, width, rows

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._key = ""
        self._lines: Sequence[Line] = ()
        self._rows: tuple[Row, ...] = ()
        self._laid_out_for = -1
        self._told = ""
        self._whole = True
        self._styles: Mapping[Tone, Style] | None = None

    @property
    def key(self) -> str:
        """The name of what is shown."""
        return self._key

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows as laid out for the present width; empty while that is under way."""
        return self._rows

    def show(self, key: str, lines: Sequence[Line], *, whole: bool = True) -> None:
        """Show the lines; another key starts at the top, the same one keeps its place.

        `whole` false: these stand in for the lines to come, and their end is not told.
        """
        if key != self._key:
            self._told = ""
            self.scroll_to(y=0, animate=False)
        elif lines == self._lines:
            return
        self._key, self._lines, self._whole = key, lines, whole
        self._lay_out()

    def tell_again(self) -> None:
        """Tell once more when the last row is drawn: the reader came anew."""
        self._told = ""
        self.refresh()

    @property
    def hidden_rows(self) -> int:
        """How many rows are below the lower edge."""
        return max(0, len(self._rows) - self.scroll_offset.y - self.size.height)

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width - 2 * MARGIN
        if width <= 0:
            self._rows, self._laid_out_for = (), -1
            return
        if sum(len(line.text) for line in self._lines) <= AT_ONCE:
            self._take(width, lay_out(self._lines, width))
            return
        self._rows = ()
        self._lay_out_in_thread(self._key, self._lines, width)

    @work(thread=True, exclusive=True, group="layout", description="layout")
    def _lay_out_in_thread(self, key: str, lines: Sequence[Line], width: int) -> None:
        rows = lay_out(lines, width)
        if not get_current_worker().is_cancelled:
            self.post_message(self._LaidOut(key, lines, width, rows))

    @on(_LaidOut)
    def _take_from_thread(self, message: _LaidOut) -> None:
        message.stop()
        if message.key == self._key and message.lines is self._lines:
            self._take(message.width, message.rows)

    def _take(self, width: int, rows: tuple[Row, ...]) -> None:
        self._rows, self._laid_out_for = rows, width
        self.virtual_size = Size(width + 2 * MARGIN, len(rows))
        self.refresh()
        self.post_message(self.Scrolled())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Draw the rows that came into the pane."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Scrolled())

    def on_resize(self, _event: events.Resize) -> None:
        """Lay out again where the width changed."""
        if self.scrollable_content_region.width - 2 * MARGIN != self._laid_out_for:
            self._lay_out()

    def notify_style_update(self) -> None:
        """Draw again with the new colours."""
        super().notify_style_update()
        self._styles = None
        self.refresh()

    def go_to(self, line: int) -> None:
        """Scroll to where the line begins, unless it and the next are on the screen."""
        at = next((at for at, row in enumerate(self._rows) if row.line == line), 0)
        below = self.scroll_offset.y + self.size.height - 2
        if not self.scroll_offset.y <= at < below:
            self.scroll_to(y=max(0, at - 1), animate=False)

    def action_down(self) -> None:
        """Scroll one row."""
        self.scroll_relative(y=1, animate=False)

    def action_up(self) -> None:
        """Scroll one row back."""
        self.scroll_relative(y=-1, animate=False)

    def action_half_down(self) -> None:
        """Scroll half a page."""
        self.scroll_relative(y=self.size.height // 2, animate=False)

    def action_half_up(self) -> None:
        """Scroll half a page back."""
        self.scroll_relative(y=-(self.size.height // 2), animate=False)

    def action_page_down(self) -> None:
        """Scroll a page; a row of the last one stays."""
        self.scroll_relative(y=max(1, self.size.height - 1), animate=False)

    def action_page_up(self) -> None:
        """Scroll a page back."""
        self.scroll_relative(y=-max(1, self.size.height - 1), animate=False)

    def action_first(self) -> None:
        """Scroll to the first row."""
        self.scroll_to(y=0, animate=False)

    def action_last(self) -> None:
        """Scroll to the last row."""
        self.scroll_to(y=self.max_scroll_y, animate=False)

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        index = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        ground = self.rich_style
        tones = self._tones()
        if not self._rows and self._lines and index == 0:
            note = Segment(" laying out…", ground + tones["note"])
            return Strip([note]).adjust_cell_length(width, ground)
        if index >= len(self._rows):
            return Strip.blank(width, ground)
        if index == len(self._rows) - 1 and self._whole and self._told != self._key:
            self._told = self._key
            self.call_after_refresh(self.post_message, self.LastRowShown(self, self._key))
        return draw_row(self._rows[index], tones, ground, width)

    def _tones(self) -> Mapping[Tone, Style]:
        if self._styles is None:
            self._styles = tones_of(ink_of(self.app))
        return self._styles
