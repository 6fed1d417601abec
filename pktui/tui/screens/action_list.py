"""Every action with its key and id in one list: typed into, and run from. Help, palette, menu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from pktui.tui.actions import NOT_IN_PALETTE, ONLY_KEYS, SCOPE_TITLES, Action, Keymap, display_key
from pktui.tui.context import context_of
from pktui.tui.focus import focus_now
from pktui.tui.theme import ink_of
from pktui.tui.widgets.columns import Column
from pktui.tui.widgets.filter_box import has_words
from pktui.tui.widgets.grid import Grid
from pktui.tui.widgets.line_input import LineInput
from pktui.tui.widgets.rows import Groups, ListSource, Pen, Rows

if TYPE_CHECKING:
    from rich.style import Style
    from textual.app import ComposeResult

_COLUMNS = (
    Column("words", stretch=True, share=0.5),
    Column("id", order=1, most=30),
    Column("keys", right=True, least=8),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the list. Without an action it is there to be read."""

    group: str
    words: str
    keys: str = ""
    action: Action | None = None

    @property
    def id(self) -> str:
        """The action's id, "" without one."""
        return self.action.id if self.action else ""

    @property
    def runs(self) -> bool:
        """Whether it may be run from a list: no call is allowed by enter."""
        action = self.action
        return (
            action is not None and action.scope not in ONLY_KEYS and action.id not in NOT_IN_PALETTE
        )


def entry_of(action: Action, keymap: Keymap, group: str = "") -> Entry:
    """Return the row of an action; `group` stands over it instead of where it holds."""
    keys = " ".join(display_key(key) for key in keymap.keys(action)[:2])
    return Entry(group or SCOPE_TITLES[action.scope], action.tooltip, keys, action)


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

    def __init__(self, title: str, entries: Sequence[Entry], foot: str) -> None:
        super().__init__()
        self._title, self._entries, self._foot = title, tuple(entries), foot

    def compose(self) -> ComposeResult:
        """Lay out the box over the list."""
        ink = ink_of(self.app)
        grid = Grid(_COLUMNS, lambda entry: (entry.words, entry.id, entry.keys), _styles)
        grid.see(self._entries)
        with Vertical(id="actions"):
            yield LineInput(placeholder=self._title, id="actions-input")
            yield Rows(
                ListSource(self._entries), grid=grid, glyphs=context_of(self).glyphs,
                groups=Groups(lambda entry: entry.group, str), id="actions-rows",
            )  # fmt: skip
            yield Static(Text(self._foot, style=ink.dim), classes="foot", markup=False)

    def on_mount(self) -> None:
        """Type into the box at once."""
        focus_now(self.query_one(Input))

    @property
    def rows(self) -> Rows[Entry]:
        """The list."""
        return self.query_one(Rows)

    @on(Input.Changed)
    def _filter(self, message: Input.Changed) -> None:
        message.stop()
        wanted = message.value
        found = [one for one in self._entries if has_words(wanted, *_searched(one))]
        self.rows.show(ListSource(found))

    @on(Input.Submitted)
    def _run(self, message: Input.Submitted) -> None:
        message.stop()
        entry = self.rows.current
        if entry is not None and entry.runs:
            self.dismiss(entry.action)
        elif entry is not None and entry.action is not None:
            where = f"press {entry.keys.split(' ')[0]} where it holds"
            context_of(self).say(f"{where}; it is not run from this list")

    @on(Rows.Chosen)
    def _clicked(self, message: Rows.Chosen) -> None:
        message.stop()
        if isinstance(message.item, Entry) and message.item.runs:
            self.dismiss(message.item.action)

    def action_move(self, rows: int) -> None:
        """Go up or down the list."""
        self.rows.move_to(self.rows.cursor + rows)

    def action_leave(self) -> None:
        """Run nothing."""
        self.dismiss(None)


def _searched(entry: Entry) -> tuple[str, ...]:
    label = entry.action.label if entry.action else ""
    return entry.id, label, entry.words, entry.keys, entry.group


def _styles(entry: Entry, pen: Pen) -> Mapping[str, Style]:
    ink = pen.ink
    words = ink.text if entry.runs else ink.dim
    return {"words": words, "id": ink.faint, "keys": ink.accent}
