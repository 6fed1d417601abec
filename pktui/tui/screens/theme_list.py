"""Themes to choose from: the one under the cursor is on the screen at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.tui.context import context_of
from pktui.tui.focus import focus_now
from pktui.tui.theme import ink_of
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ThemeList(ModalScreen["str | None"]):
    """Gives the theme that is to be kept, `None` where the one before it is back."""

    BINDINGS: ClassVar = [Binding("escape,q", "leave", "leave")]

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = tuple(names)

    def compose(self) -> ComposeResult:
        """Lay out the names over the keys."""
        self._before = self.app.theme
        with Vertical(id="themes"):
            yield Rows(
                ListSource(self._names), self._draw, glyphs=context_of(self).glyphs, id="theme-rows"
            )
            foot = Text("enter keeps it · esc goes back", style=ink_of(self.app).dim)
            yield Static(foot, classes="foot", markup=False)

    def on_mount(self) -> None:
        """Begin at the theme in force."""
        rows = self.query_one(Rows)
        focus_now(rows)
        if self._before in self._names:
            rows.move_to(self._names.index(self._before))

    def _draw(self, name: str, pen: Pen) -> Sequence[Sequence[Run]]:
        here = f" {pen.glyphs.dot} in force" if name == self._before else ""
        return [[(name, pen.ink.text), (here, pen.ink.dim)]]

    @on(Rows.Moved)
    def _preview(self, message: Rows.Moved) -> None:
        message.stop()
        if message.rows.current is not None and message.rows.has_focus:
            self.app.theme = message.rows.current

    @on(Rows.Chosen)
    def _keep(self, message: Rows.Chosen) -> None:
        message.stop()
        self.dismiss(message.item)

    def action_leave(self) -> None:
        """Back to the theme that was."""
        self.app.theme = self._before
        self.dismiss(None)
