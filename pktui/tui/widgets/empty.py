"""What an empty view says: why it is empty, what to do next, and a line to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Vertical
from textual.widgets import Static

from pktui.tui.theme import ink_of

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Empty(Vertical):
    """Three short texts of our own in the middle of a pane."""

    def __init__(self, why: str, what_next: str, line: str = "") -> None:
        super().__init__()
        self._why, self._what_next, self._line = why, what_next, line

    def compose(self) -> ComposeResult:
        """Lay the texts out below each other."""
        ink = ink_of(self.app)
        yield Static(Text(self._why, style=ink.bold), markup=False)
        yield Static(Text(self._what_next, style=ink.dim), markup=False)
        if self._line:
            yield Static(Text(self._line, style=ink.accent), markup=False)
