"""Every action with its key and id in one list: typed into, and run from. Help and palette."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from pktui.tui.actions import NOT_IN_PALETTE, ONLY_KEYS, SCOPE_TITLES, Action, display_key
from pktui.tui.cells import fit, fit_right
from pktui.tui.context import context_of
from pktui.tui.focus import focus_now
from pktui.tui.theme import ink_of
from pktui.tui.widgets.filter_box import has_words
from pktui.tui.widgets.line_input import LineInput
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult

_KEYS, _WHERE = 10, 16
# From this width on the ids stand there, whole, as they are to be copied.
_ROOMY, _WIDER, _IDS = 90, 18, 28


class ActionList(ModalScreen["Action | None"]):
    """Gives the action to be run, `None` at escape.

    What decides about a waiting call is listed and never run from here: enter allows nothing.
    """

    BINDINGS: ClassVar = [
        Binding("escape", "leave", "leave"),
        Binding("down", "move(1)", "down"),
        Binding("up", "move(-1)", "up"),
        Binding("pagedown", "move(10)", "page down"),
        Binding("pageup", "move(-10)", "page up"),
    ]

    def __init__(self, title: str, actions: Sequence[Action], foot: str) -> None:
        super().__init__()
        self._title, self._actions, self._foot = title, tuple(actions), foot

    def compose(self) -> ComposeResult:
        """Lay out the box over the list."""
        ink = ink_of(self.app)
        with Vertical(id="actions"):
            yield LineInput(placeholder=self._title, id="actions-input")
            yield Rows(ListSource(self._actions), self._draw, glyphs=context_of(self).glyphs,
                       id="actions-rows")  # fmt: skip
            yield Static(Text(self._foot, style=ink.dim), classes="foot", markup=False)

    def on_mount(self) -> None:
        """Type into the box at once."""
        focus_now(self.query_one(Input))

    @property
    def rows(self) -> Rows[Action]:
        """The list."""
        return self.query_one(Rows)

    def _draw(self, action: Action, pen: Pen) -> Sequence[Sequence[Run]]:
        ink, keymap = pen.ink, context_of(self).keymap
        keys = " ".join(display_key(key) for key in keymap.keys(action)[:2])
        where, ids = (_WIDER, _IDS) if pen.width >= _ROOMY else (_WHERE, 0)
        room = max(0, pen.width - _KEYS - where - ids)
        style = ink.text if can_run(action) else ink.dim
        return [[
            (fit(SCOPE_TITLES[action.scope], where - 1) + " ", ink.faint),
            (fit(action.tooltip, room - 1) + " ", style),
            (fit(action.id, ids), ink.faint),
            (fit_right(keys, _KEYS), ink.accent),
        ]]  # fmt: skip

    @on(Input.Changed)
    def _filter(self, message: Input.Changed) -> None:
        message.stop()
        keymap = context_of(self).keymap

        def fits(action: Action) -> bool:
            keys = " ".join(map(display_key, keymap.keys(action)))
            scope = SCOPE_TITLES[action.scope]
            return has_words(message.value, action.id, action.label, action.tooltip, keys, scope)

        self.rows.show(ListSource([action for action in self._actions if fits(action)]))

    @on(Input.Submitted)
    def _run(self, message: Input.Submitted) -> None:
        message.stop()
        action = self.rows.current
        if action is None:
            return
        if can_run(action):
            self.dismiss(action)
        else:
            keys = context_of(self).keymap.shown(action)
            context_of(self).say(f"press {keys} where it holds; it is not run from this list")

    @on(Rows.Chosen)
    def _clicked(self, message: Rows.Chosen) -> None:
        message.stop()
        if isinstance(message.item, Action) and can_run(message.item):
            self.dismiss(message.item)

    def action_move(self, rows: int) -> None:
        """Go up or down the list."""
        self.rows.move_to(self.rows.cursor + rows)

    def action_leave(self) -> None:
        """Run nothing."""
        self.dismiss(None)


def can_run(action: Action) -> bool:
    """Tell whether an action may be run from a list: no call is allowed by enter."""
    return action.scope not in ONLY_KEYS and action.id not in NOT_IN_PALETTE
