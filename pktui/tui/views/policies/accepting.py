"""Pins a new or changed definition once a person has read it to its last line."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.message import Message

from pktui.errors import DefinitionChanged, PinError, PktuiError
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.edit import EditScreen
from pktui.tui.views.base import View
from pktui.tui.views.policies.definition import definition_lines, flag_lines
from pktui.tui.widgets.document import DocumentView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from pktui.ledger.records import ToolSeen
    from pktui.tui.document import Line


class AcceptScreen(EditScreen["ToolSeen | None"]):
    """Shows a definition, old and new; gives it where it was read to its end and is accepted."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("accept")]
    TO_THE_END = True

    class _LaidOut(Message):
        def __init__(self, lines: Sequence[Line]) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, seen: ToolSeen, *, again: bool = False) -> None:
        """`again`: it changed while the one before it was looked at."""
        state = "changed" if seen.changed else "new"
        about = f"{one_line(seen.server, 80)}: {state}. It is pinned as shown; this stays so."
        if again:
            about = f"It changed again: this is how it is now. {about}"
        keys = ("accept.accept", "accept.more", "accept.leave")
        super().__init__(f"Accept the definition of {one_line(seen.name, 80)}?", about, keys)
        self._seen = seen

    def on_mount(self) -> None:
        """Lay the definition out, in a thread: it can be long."""
        self.show_wait("laying out…")
        self._lay_out()

    @work(thread=True, group="layout", description="definition")
    def _lay_out(self) -> None:
        self.post_message(self._LaidOut((*flag_lines(self._seen), *definition_lines(self._seen))))

    @on(_LaidOut)
    def _show(self, message: _LaidOut) -> None:
        message.stop()
        self.show_change(message.lines)

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


class Accepting(View):
    """What the Policies view does to accept a new or changed definition."""

    class Accepted(Message):
        """A definition was pinned."""

        def __init__(self, seen: ToolSeen) -> None:
            super().__init__()
            self.seen = seen

    class _NeedsPin(Message):
        def __init__(self, seen: ToolSeen, error: PinError) -> None:
            super().__init__()
            self.seen, self.error = seen, error

    class _ChangedAgain(Message):
        def __init__(self, seen: ToolSeen) -> None:
            super().__init__()
            self.seen = seen

    class _NotAccepted(Message):
        def __init__(self, error: PktuiError) -> None:
            super().__init__()
            self.error = error

    def definition_to_accept(self) -> ToolSeen | None:
        """Return the definition under the cursor."""
        raise NotImplementedError

    def action_accept(self) -> None:
        """Show the definition, to be accepted once it was read."""
        seen = self.definition_to_accept()
        if seen is None or self.console.refuse_read_only():
            return
        if seen.changed or seen.is_new:
            self._ask(seen)
        else:
            self.console.say(f"{one_line(seen.name, 80)} is defined as it was accepted")

    def _ask(self, seen: ToolSeen, *, again: bool = False) -> None:
        def answer(read: ToolSeen | None) -> None:
            if read is not None:
                self._accept(read, "")

        self.app.push_screen(AcceptScreen(seen, again=again), answer)

    @work(thread=True, group="policy-edit", description="policy-accept")
    def _accept(self, seen: ToolSeen, pin: str) -> None:
        catalogue = self.services.ledger.catalogue
        try:
            catalogue.accept(seen.server, seen.name, by="console", shown_hash=seen.hash, pin=pin)
            self.post_message(self.Accepted(seen))
        except PinError as error:
            self.post_message(self._NeedsPin(seen, error))
        except DefinitionChanged as error:
            now = catalogue.tool(seen.server, seen.name)
            self.post_message(self._ChangedAgain(now) if now else self._NotAccepted(error))
        except PktuiError as error:
            self.post_message(self._NotAccepted(error))

    @on(Accepted)
    def _say_so(self, message: Accepted) -> None:
        name = one_line(message.seen.name, 80)
        self.console.say(f"accepted: {name} as it is defined now")

    @on(_ChangedAgain)
    def _show_anew(self, message: _ChangedAgain) -> None:
        message.stop()
        name = one_line(message.seen.name, 80)
        self.console.say(f"the definition of {name} has changed again; nothing was accepted",
                         severity="warning")  # fmt: skip
        if message.seen.changed or message.seen.is_new:
            self._ask(message.seen, again=True)

    @on(_NotAccepted)
    def _say_why_not(self, message: _NotAccepted) -> None:
        message.stop()
        self.console.say_error(message.error)

    @on(_NeedsPin)
    def _ask_pin(self, message: _NeedsPin) -> None:
        message.stop()
        seen = message.seen

        def answer(pin: str | None) -> None:
            if pin is not None:
                self._accept(seen, pin)

        title = f"PIN to accept {one_line(seen.name, 80)}"
        about = str(message.error)
        self.app.push_screen(AskScreen(title, about, enter="accept", password=True), answer)
