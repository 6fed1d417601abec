"""Ask for one line of text: a title, what it is for, a box, and the keys that end it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from pktui.text import visible
from pktui.tui.focus import focus_now
from pktui.tui.screens.question import Question
from pktui.tui.theme import ink_of
from pktui.tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from textual.app import ComposeResult


EARLY = "enter came before this was on the screen; press it again"


class AskScreen(Question[str | None]):
    """Gives the text at enter, `None` at escape.

    `check` returns why a text cannot be used, or "" where it can; it is asked as the person
    types and must not block. `password` shows dots for what is typed. Letters typed ahead reach
    the box; enter typed before the box was on the screen does not answer.
    """

    QUIET = 0.0

    BINDINGS = [Binding("escape", "leave", "leave")]  # noqa: RUF012

    def __init__(
        self,
        title: str,
        about: str,
        *,
        value: str = "",
        placeholder: str = "",
        enter: str = "save",
        password: bool = False,
        check: Callable[[str], str] = lambda _: "",
    ) -> None:
        super().__init__()
        self._title, self._about = visible(title), visible(about)
        self._value, self._placeholder = value, placeholder
        self._enter, self._check = enter, check
        self._password = password

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        ink = ink_of(self.app)
        with Vertical(id="ask"):
            yield Static(Text(self._title, style=ink.bold), classes="title", markup=False)
            yield Static(Text(self._about, style=ink.dim), classes="about", markup=False)
            yield LineInput(
                self._value,
                placeholder=self._placeholder,
                password=self._password,
                id="ask-input",
            )
            yield Static(self._foot(""), classes="foot", id="ask-foot", markup=False)

    def on_mount(self) -> None:
        """Type into the box at once."""
        focus_now(self.query_one(Input))

    @on(Input.Changed)
    def _show_problem(self, event: Input.Changed) -> None:
        text = visible(event.value)
        if text != event.value:
            event.input.value = text
            return
        problem = self._check(text) if text else ""
        self.query_one("#ask-foot", Static).update(self._foot(problem))

    @on(Input.Submitted)
    def _finish(self, event: Input.Submitted) -> None:
        problem = self._check(event.value) or ("" if self.counts() else EARLY)
        if problem:
            self.query_one("#ask-foot", Static).update(self._foot(problem))
            return
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """Leave without a text."""
        self.dismiss(None)

    def _foot(self, problem: str) -> Text:
        ink = ink_of(self.app)
        if problem:
            return Text(visible(problem), style=ink.wait)
        return Text.assemble(
            ("enter ", ink.accent), (f"{self._enter}   ", ink.dim), ("esc ", ink.accent),
            ("leave", ink.dim),
        )  # fmt: skip
