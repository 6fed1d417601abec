"""Shows what would be changed in a file, and asks whether to write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.text import Text
from textual import events, on
from textual.containers import Vertical
from textual.widgets import Static

from pktui.text import visible
from pktui.tui.context import context_of
from pktui.tui.document import Line
from pktui.tui.focus import focus_now
from pktui.tui.screens.question import SHORT, Question
from pktui.tui.theme import ink_of
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.key_line import keys_of

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget


T = TypeVar("T")
# What the document calls the change.
_CHANGE = "change"
# Rows of the screen that are not the change: border, padding, title, what it is about, keys.
_AROUND = 11


class EditScreen(Question[T]):
    """The change between its title and its keys, which are named by action. Enter does nothing.

    The screen may be there before the change is; keys count once it could be read.
    """

    # Whether the last row of the change must have been on the screen, too.
    TO_THE_END: ClassVar[bool] = False
    # What keys go to first.
    FIRST: ClassVar[type[Widget]] = DocumentView

    def __init__(self, title: str, about: str, keys: Sequence[str]) -> None:
        super().__init__()
        self._title, self._about, self._keys = visible(title), visible(about), keys
        self._shown = self._seen_whole = False
        self._shown_as = _CHANGE
        self._number = 0
        self.short = False

    def compose(self) -> ComposeResult:
        """Lay out the change between its file and its keys."""
        ink = ink_of(self.app)
        with Vertical(classes="edit"):
            title = Text(self._title, style=ink.bold)
            yield Static(title, classes="title", id="edit-title", markup=False)
            yield Static(Text(self._about, style=ink.dim), classes="about", markup=False)
            yield DocumentView()
            yield Static(classes="foot", id="edit-foot", markup=False)

    def on_mount(self) -> None:
        """Let the change be scrolled."""
        focus_now(self.query_one(self.FIRST))
        self.quiet_changed()

    def on_resize(self, event: events.Resize) -> None:
        """Leave room for the title above the change and the keys below it."""
        self.short = event.size.height < SHORT
        around = _AROUND - 2 * self.short
        room = event.size.height - around - self.rows_above
        self.query_one(DocumentView).styles.max_height = max(1, room)

    @property
    def rows_above(self) -> int:
        """How many rows stand between what it is about and the change."""
        return 0

    def show_change(self, lines: Sequence[Line], *, anew: bool = False) -> None:
        """Show the change. `anew`: it is another one, to be read from its start."""
        self._shown = True
        if anew:
            self._number += 1
            self._shown_as = f"{_CHANGE} {self._number}"
            self._seen_whole = False
            self._guard.focus("", self._clock())
        self.query_one(DocumentView).show(self._shown_as, lines)

    def show_wait(self, words: str) -> None:
        """Say what is waited for."""
        self.query_one(DocumentView).show("", (Line(words, "note"),), whole=False)

    @on(DocumentView.Scrolled)
    def _laid_out(self, message: DocumentView.Scrolled) -> None:
        message.stop()
        if self.quiet:
            self.call_after_refresh(self._begin)
        self.quiet_changed()

    @on(DocumentView.LastRowShown)
    def _read_to_its_end(self, message: DocumentView.LastRowShown) -> None:
        message.stop()
        if message.key == self._shown_as:
            self._seen_whole = True
            self._guard.saw_last(self._shown_as)
            self.quiet_changed()

    def _begin(self) -> None:
        """Let the quiet time run, from when the change is painted."""
        if not (self._shown and self.query_one(DocumentView).rows):
            return
        self._guard.focus(self._shown_as, self._clock())
        if self._seen_whole or not self.TO_THE_END:
            self._guard.saw_last(self._shown_as)
        self.wait_out()

    def is_answered(self) -> bool:
        """Tell whether the key in hand was meant as a yes to what is shown; says why where not."""
        return not context_of(self).refuse_a_run() and self.counts()

    def quiet_changed(self) -> None:
        """Say whether keys count, and what they do."""
        ink, foot = ink_of(self.app), Text()
        if self.quiet:
            foot.append("a moment, read first   ", style=ink.wait)
        elif not self._guard.seen_whole:
            below = self.query_one(DocumentView).hidden_rows
            foot.append(f"read to its last line: {below:,} more   ", style=ink.wait)
        foot.append_text(keys_of(self, self._keys))
        self.query_one("#edit-foot", Static).update(foot)
