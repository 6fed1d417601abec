"""The searches that are kept: one is chosen, or taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.text import one_line
from pktui.tui.cells import fit
from pktui.tui.context import context_of
from pktui.tui.focus import focus_now
from pktui.tui.theme import ink_of
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pktui.tui.views.sessions.saved import SavedSearch

_MODE = 9


class SavedSearches(ModalScreen["SavedSearch | None"]):
    """Gives the search that is chosen, `None` at escape; `drop` is told which one goes."""

    BINDINGS: ClassVar = [
        Binding("escape", "leave", "leave"),
        Binding("x", "drop", "take out"),
    ]

    def __init__(
        self, searches: Sequence[SavedSearch], drop: Callable[[SavedSearch], object]
    ) -> None:
        super().__init__()
        self._searches, self._drop = list(searches), drop

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        ink = ink_of(self.app)
        with Vertical(id="actions"):
            yield Static(Text("searches that are kept", style=ink.bold), markup=False)
            yield Rows(ListSource(self._searches), _draw, glyphs=context_of(self).glyphs,
                       id="actions-rows")  # fmt: skip
            foot = Text("enter searches   x takes out   esc leaves", style=ink.dim)
            yield Static(foot, classes="foot", markup=False)

    def on_mount(self) -> None:
        """Go through the list at once."""
        rows = self.query_one(Rows)
        rows.say_empty((("None yet: search for something, then press s.", "dim"),))
        focus_now(rows)

    @on(Rows.Chosen)
    def _choose(self, message: Rows.Chosen) -> None:
        message.stop()
        self.dismiss(message.item)

    def action_drop(self) -> None:
        """Take the search under the cursor out."""
        rows: Rows[SavedSearch] = self.query_one(Rows)
        search = rows.current
        if search is not None:
            self._searches.remove(search)
            self._drop(search)
            rows.changed()

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)


def _draw(search: SavedSearch, pen: Pen) -> Sequence[Sequence[Run]]:
    ink = pen.ink
    name = max(8, pen.width // 3)
    return [[
        (f"{fit(one_line(search.name, 200), name)}  ", ink.text),
        (fit(search.mode, _MODE), ink.accent),
        (one_line(search.query, 400), ink.dim),
    ]]  # fmt: skip
