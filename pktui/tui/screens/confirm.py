"""Ask before what is hard to take back; the focus starts on Cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from pktui.text import visible
from pktui.tui.focus import focus_now
from pktui.tui.screens.question import Question
from pktui.tui.theme import ink_of

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ConfirmScreen(Question[bool]):
    """Gives true where the person moved to the other button and pressed it."""

    BINDINGS = [  # noqa: RUF012
        Binding("escape", "leave", "leave"),
        Binding("left,right,h,l", "other", "the other one"),
    ]

    def __init__(self, title: str, about: str, *, yes: str) -> None:
        super().__init__()
        self._title, self._about, self._yes = visible(title), visible(about), visible(yes)

    def compose(self) -> ComposeResult:
        """Lay out the question over its two answers."""
        ink = ink_of(self.app)
        with Vertical(id="confirm"):
            yield Static(Text(self._title, style=ink.bold), classes="title", markup=False)
            yield Static(Text(self._about, style=ink.dim), classes="about", markup=False)
            with Horizontal(id="confirm-answers"):
                yield Button("Cancel", id="confirm-cancel", compact=True)
                yield Button(Text(self._yes), id="confirm-yes", compact=True)

    def on_mount(self) -> None:
        """Start where enter does no harm."""
        focus_now(self.query_one("#confirm-cancel", Button))

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        event.stop()
        if self.counts():
            self.dismiss(event.button.id == "confirm-yes")

    def action_leave(self) -> None:
        """Leave everything as it is."""
        if self.counts():
            self.dismiss(False)

    def action_other(self) -> None:
        """Go to the other answer."""
        self.focus_next()
