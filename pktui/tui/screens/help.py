"""The keys of the view in front, from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.tui.actions import SCOPE_TITLES, Keymap, Scope, actions_in, display_key
from pktui.tui.theme import Ink, ink_of

if TYPE_CHECKING:
    from textual.app import ComposeResult


class HelpScreen(ModalScreen[None]):
    """Help over the view; any of its keys closes it."""

    BINDINGS = [Binding("escape,question_mark,f1,q,enter", "close", "close")]  # noqa: RUF012

    def __init__(self, scopes: tuple[Scope, ...], keymap: Keymap) -> None:
        super().__init__()
        self._scopes = scopes
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """Lay out one table for each scope."""
        ink = ink_of(self.app)
        with VerticalScroll(id="help"):
            yield Static(Text("Keys", style=ink.bold), classes="title")
            for scope in self._scopes:
                yield Static(Text(SCOPE_TITLES[scope], style=ink.accent), classes="scope")
                yield Static(self._table(scope, ink))
            foot = "esc closes · ctrl+p finds any action by name · ids are for console.keys"
            yield Static(Text(foot, style=ink.dim))

    def action_close(self) -> None:
        """Close the help."""
        self.dismiss()

    def _table(self, scope: Scope, ink: Ink) -> Table:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(width=14, justify="right")
        table.add_column(ratio=1)
        table.add_column(justify="right", no_wrap=True)
        for action in actions_in(scope):
            keys = " ".join(display_key(key) for key in self._keymap.keys(action))
            if keys:
                table.add_row(
                    Text(keys, style=ink.accent),
                    Text(action.tooltip, style=ink.text + Style()),
                    Text(action.id, style=ink.faint),
                )
        return table
