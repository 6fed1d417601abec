"""What an empty view says: why it is empty, what to do next, and a line to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Vertical
from textual.widgets import Static

from pktui.text import visible
from pktui.tui.actions import BY_ID
from pktui.tui.context import context_of
from pktui.tui.theme import ink_of

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Empty(Vertical):
    """Short texts in the middle of a pane. `copies` is the action that takes `line`, if any."""

    def __init__(
        self,
        why: str = "",
        what_next: str = "",
        line: str = "",
        copies: str = "",
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._why, self._what_next, self.line, self._copies = why, what_next, line, copies

    def compose(self) -> ComposeResult:
        """Lay the texts out below each other."""
        ink = ink_of(self.app)
        yield Static(Text(visible(self._why), style=ink.bold), markup=False)
        yield Static(Text(visible(self._what_next), style=ink.dim), markup=False)
        if self.line:
            yield Static(Text(self.line, style=ink.accent), markup=False)
            key = context_of(self).keymap.shown(BY_ID[self._copies])
            yield Static(Text(f"{key} copies it", style=ink.faint), markup=False)

    def tell(self, why: str, what_next: str) -> None:
        """Say another thing."""
        if (why, what_next) == (self._why, self._what_next):
            return
        self._why, self._what_next = why, what_next
        ink, (first, second, *_) = ink_of(self.app), self.query(Static)
        first.update(Text(visible(why), style=ink.bold))
        second.update(Text(visible(what_next), style=ink.dim))
