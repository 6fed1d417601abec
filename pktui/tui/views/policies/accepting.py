"""Pins a new or changed definition once a person has read it to its last line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.message import Message

from pktui.errors import DefinitionChanged, PinError, PktuiError
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.edit import EditScreen
from pktui.tui.views.policies.definition import definition_lines, flag_lines
from pktui.tui.widgets.document import DocumentView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.binding import BindingType

    from pktui.ledger.records import ToolSeen
    from pktui.tui.document import Line
    from pktui.tui.views.base import View


# Cells of the screen from which old and new stand beside each other, and those around both.
BESIDE = 118
_AROUND = 16


class AcceptScreen(EditScreen["ToolSeen | None"]):
    """Shows a definition, old and new; gives it where it was read to its end and is accepted."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("accept")]
    TO_THE_END = True

    class _LaidOut(Message):
        def __init__(self, lines: Sequence[Line], beside: int) -> None:
            super().__init__()
            self.lines, self.beside = lines, beside

    def __init__(self, seen: ToolSeen, *, again: bool = False) -> None:
        """`again`: it changed while the one before it was looked at."""
        state = "changed" if seen.changed else "new"
        about = f"{one_line(seen.server, 80)}: {state}. It is pinned as shown; this stays so."
        if again:
            about = f"It changed again: this is how it is now. {about}"
        keys = ("accept.accept", "accept.more", "accept.leave")
        super().__init__(f"Accept the definition of {one_line(seen.name, 80)}?", about, keys)
        self._seen = seen
        self._beside = -1
        """Cells for old and new beside each other, 0: below each other, -1: not known yet."""

    def on_mount(self) -> None:
        """Say what is waited for until the width is known."""
        self.show_wait("laying out…")

    def on_resize(self, event: events.Resize) -> None:
        """Put old and new beside each other where there is room, to be read anew."""
        wide = self._seen.changed and event.size.width >= BESIDE
        beside = event.size.width - _AROUND if wide else 0
        if beside != self._beside:
            self._beside = beside
            self.query_one(".edit").set_class(wide, "-wide")
            self.call_after_refresh(self._lay_out, beside)  # at the width it will have

    @work(thread=True, group="layout", description="definition")
    def _lay_out(self, beside: int) -> None:
        flags = tuple(flag_lines(self._seen))
        definition = tuple(definition_lines(self._seen, beside))
        lines = (*flags, *definition[0 if flags else 1 :])
        self.post_message(self._LaidOut(lines, beside))

    @on(_LaidOut)
    def _show(self, message: _LaidOut) -> None:
        message.stop()
        if message.beside == self._beside:
            self.show_change(message.lines, anew=self._shown)

    def action_accept(self) -> None:
        """Accept it, if it was read."""
        if self.is_answered():
            self.dismiss(self._seen)

    def action_more(self) -> None:
        """Scroll a page."""
        self.query_one(DocumentView).action_page_down()

    def action_leave(self) -> None:
        """Accept nothing."""
        self.dismiss(None)


class Accepting:
    """Asks about a definition and pins it; `accepted` is called once it is pinned."""

    def __init__(self, view: View, accepted: Callable[[], None]) -> None:
        self._view, self._accepted = view, accepted

    def ask(self, seen: ToolSeen, *, again: bool = False) -> None:
        """Show the definition, to be accepted once it was read."""

        def answer(read: ToolSeen | None) -> None:
            if read is not None:
                self._accept(read)

        self._view.console.ask(AcceptScreen(seen, again=again), answer)

    def _accept(self, seen: ToolSeen, pin: str = "") -> None:
        work = partial(self._pin, seen, pin)
        failed = partial(self._not_accepted, seen)
        self._view.in_thread(
            work, self._tell, failed, group="policy-edit", saying="accepting the definition"
        )

    def _pin(self, seen: ToolSeen, pin: str) -> tuple[ToolSeen, bool]:
        """Return the definition and whether it was pinned; it may have changed again. Blocks."""
        catalogue = self._view.services.ledger.catalogue
        try:
            catalogue.accept(seen.server, seen.name, by="console", shown_hash=seen.hash, pin=pin)
        except DefinitionChanged:
            now = catalogue.tool(seen.server, seen.name)
            if now is None:
                raise
            return now, False
        return seen, True

    def _tell(self, end: tuple[ToolSeen, bool]) -> None:
        seen, pinned = end
        name, console = one_line(seen.name, 80), self._view.console
        if pinned:
            console.say(f"accepted: {name} as it is defined now")
            self._accepted()
            return
        sentence = f"the definition of {name} has changed again; nothing was accepted"
        console.say(sentence, severity="warning")
        if seen.changed or seen.is_new:
            self.ask(seen, again=True)

    def _not_accepted(self, seen: ToolSeen, error: PktuiError) -> None:
        if not isinstance(error, PinError):
            self._view.console.say_error(error)
            return

        def answer(pin: str | None) -> None:
            if pin is not None:
                self._accept(seen, pin)

        title = f"PIN to accept {one_line(seen.name, 80)}"
        screen = AskScreen(title, str(error), enter="accept", password=True)
        self._view.console.ask(screen, answer)
