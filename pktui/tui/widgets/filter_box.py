"""The box over a list that `/` opens; it stays while it holds words."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.message import Message
from textual.widgets import Input

from pktui.text import visible
from pktui.tui.actions import bindings
from pktui.tui.focus import focus_now
from pktui.tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from textual.binding import BindingType


class FilterBox(LineInput):
    """Takes what a list is to be narrowed to; the owner hears `Input.Changed` and `Left`."""

    BINDINGS: ClassVar[list[BindingType]] = [*Input.BINDINGS, *bindings("filter")]

    class Left(Message):
        """The person is done typing; the list takes the focus."""

    def __init__(self, *, placeholder: str, id: str) -> None:  # noqa: A002
        super().__init__(placeholder=placeholder, select_on_focus=False, id=id, classes="filter")

    def on_mount(self) -> None:
        """Stay away until it is asked for."""
        self.display = False

    def type_here(self) -> None:
        """Show the box and give it the focus."""
        self.display = True
        focus_now(self)

    def drop(self) -> bool:
        """Forget the words; false where there are none."""
        had_words = bool(self.value)
        self.value = ""
        self.display = self.has_focus
        return had_words

    @on(Input.Changed)
    def _show_what_is_hidden(self, message: Input.Changed) -> None:
        text = visible(message.value)
        if text != message.value:
            message.stop()
            self.value = text

    @on(Input.Submitted)
    def _submit(self, message: Input.Submitted) -> None:
        message.stop()
        self.action_leave()

    def action_leave(self) -> None:
        """Back to the list; what is typed still holds."""
        self.display = bool(self.value)
        self.post_message(self.Left())

    def action_list(self) -> None:
        """Down into the list."""
        self.action_leave()


def has_words(wanted: str, *fields: str) -> bool:
    """Tell whether each of the words typed is part of one of the fields, whatever its case."""
    text = "\n".join(fields).casefold()
    return all(word in text for word in wanted.casefold().split())
