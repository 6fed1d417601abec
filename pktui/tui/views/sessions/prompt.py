"""The line below a session: what to look for in it, or the time to go to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.message import Message
from textual.widgets import Input

from pktui.query import parse_when
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.focus import focus_now
from pktui.tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from datetime import datetime

    from textual.binding import BindingType

    from pktui.tui.views.sessions.timeline import Place, Timeline

Kind = Literal["find", "jump"]
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_PLACEHOLDERS: dict[Kind, str] = {
    "find": "find in this session",
    "jump": "10:32, 2026-01-31 10:32, or a message's number",
}


class Prompt(LineInput):
    """Takes one line and is gone again."""

    BINDINGS: ClassVar[list[BindingType]] = [*Input.BINDINGS, *bindings("prompt")]

    class Given(Message):
        """What was typed."""

        def __init__(self, kind: Kind, text: str) -> None:
            super().__init__()
            self.kind, self.text = kind, text

    class Left(Message):
        """The person is done with it."""

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id, compact=True)
        self._kind: Kind = "find"

    def on_mount(self) -> None:
        """Stay away until it is asked for."""
        self.display = False

    def type_here(self, kind: Kind, text: str) -> None:
        """Show it with this text, and give it the focus."""
        self._kind = kind
        self.placeholder = _PLACEHOLDERS[kind]
        self.value = text
        self.display = True
        focus_now(self)

    @on(Input.Submitted)
    def _give(self, event: Input.Submitted) -> None:
        event.stop()
        text = self.value.strip()
        self.action_leave()
        if text or self._kind == "find":
            self.post_message(self.Given(self._kind, text))

    def action_leave(self) -> None:
        """Close it."""
        self.display = False
        self.post_message(self.Left())


def place_of_time(text: str, line: Timeline, near: Place | None, now: datetime) -> int:
    """Return the slot of a time of day, of a date and time, or of a message's number.

    A time of day is of the day of the place `near`. Raises `ValueError` with what can be typed.
    """
    text = text.strip().lstrip(":")
    clock = _CLOCK.fullmatch(text)
    if clock:
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        if hours < 24 and minutes < 60 and seconds < 60:
            here = near[0] if near else line.first_slot
            return line.slot_of_clock(hours * 3600 + minutes * 60 + seconds, here)
    if text.isascii() and text.isdigit() and len(text) < 10:
        return max(line.first_slot, min(int(text), line.total))
    try:
        when = parse_when(text.replace(" ", "T", 1), now)
    except ValueError:
        raise ValueError(
            f"“{one_line(text, 40)}” is no time: 10:32, 2026-01-31 10:32, or a message's number"
        ) from None
    return line.slot_at(round(when.timestamp() * 1_000_000))
