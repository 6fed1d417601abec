"""The search box: what is typed, how it is searched, and the keys that belong to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input, Static

from pktui.memory.records import MODES, Mode
from pktui.tui.actions import bindings
from pktui.tui.focus import focus_now
from pktui.tui.theme import ink_of
from pktui.tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

# After the last key the search starts.
PAUSE_SECONDS = 0.15


class _Box(LineInput):
    BINDINGS: ClassVar[list[BindingType]] = [*Input.BINDINGS, *bindings("search")]

    class Command(Message):
        """A key of the box: `mode`, `mode_before`, `leave` or `list`."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def action_mode(self) -> None:
        self.post_message(self.Command("mode"))

    def action_mode_before(self) -> None:
        self.post_message(self.Command("mode_before"))

    def action_leave(self) -> None:
        self.post_message(self.Command("leave"))

    def action_list(self) -> None:
        self.post_message(self.Command("list"))


class _Mode(Static):
    """The name of the mode; a click changes it."""


class SearchBox(Horizontal):
    """Asks for a search once the person pauses, and at once at enter or another mode."""

    mode: reactive[Mode] = reactive("hybrid")

    class Asked(Message):
        """Search for this, in this way; empty text shows all sessions."""

        def __init__(self, text: str, mode: Mode) -> None:
            super().__init__()
            self.text = text
            self.mode = mode

    class Left(Message):
        """The person is done typing; the list takes the focus."""

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._timer: Timer | None = None
        self._offered: Mode | None = None
        self._asked: tuple[str, Mode] = ("", "hybrid")

    def compose(self) -> ComposeResult:
        """Lay out the sign, the box and the mode."""
        yield Static("/", classes="sign", markup=False)
        yield _Box(placeholder="search sessions", compact=True, select_on_focus=False)
        yield Static("", classes="note", markup=False)
        yield _Mode(self.mode, classes="mode", markup=False)

    @property
    def text(self) -> str:
        """What is typed."""
        return self.query_one(_Box).value.strip()

    def note(self, text: str) -> None:
        """Say beside the mode what the search answered instead."""
        self.query_one(".note", Static).update(Text(text, style=ink_of(self.app).dim))

    def offer(self, mode: Mode | None) -> None:
        """Let the next change go to this mode, `None`: to the next one in their order."""
        self._offered = mode

    def type_here(self) -> None:
        """Give the box the focus."""
        focus_now(self.query_one(_Box))

    def search_for(self, text: str, mode: Mode | None = None) -> None:
        """Put a text into the box and search for it at once, in this way if one is given."""
        self.mode = mode or self.mode
        self.query_one(_Box).value = text
        self._ask()

    def watch_mode(self, mode: Mode) -> None:
        """Name the mode."""
        if self.is_mounted:
            self.query_one(_Mode).update(Text(mode, style=ink_of(self.app).accent))

    def on_mount(self) -> None:
        """Name the mode."""
        self.watch_mode(self.mode)

    @on(Input.Changed)
    def _wait(self, event: Input.Changed) -> None:
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE_SECONDS, self._ask)

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        self._ask()
        self.post_message(self.Left())

    @on(_Box.Command)
    def _obey(self, event: _Box.Command) -> None:
        event.stop()
        if event.name in {"mode", "mode_before"}:
            step = 1 if event.name == "mode" else -1
            offered = self._offered if step > 0 else None
            self.mode = offered or MODES[(MODES.index(self.mode) + step) % len(MODES)]
            self._ask()
        else:
            self.post_message(self.Left())

    def on_click(self, event: events.Click) -> None:
        """Change the mode by a click on its name."""
        if isinstance(event.widget, _Mode):
            self.mode = MODES[(MODES.index(self.mode) + 1) % len(MODES)]
            self._ask()

    def _ask(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        wanted = (self.text, self.mode)
        if wanted != self._asked:
            self._asked = wanted
            self.post_message(self.Asked(*wanted))
