"""Pins the definition that a person looks at, once they have said so twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on, work
from textual.message import Message

from pktui.errors import PinError, PktuiError
from pktui.text import one_line
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.confirm import ConfirmScreen
from pktui.tui.views.base import View

if TYPE_CHECKING:
    from pktui.ledger.records import ToolSeen


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

    class _NotAccepted(Message):
        def __init__(self, error: PktuiError) -> None:
            super().__init__()
            self.error = error

    def definition_to_accept(self) -> ToolSeen | None:
        """Return the definition under the cursor, and show it."""
        raise NotImplementedError

    def action_accept(self) -> None:
        """Ask whether the definition that is shown shall be pinned."""
        seen = self.definition_to_accept()
        if seen is None or self.console.refuse_read_only():
            return
        if not (seen.changed or seen.is_new):
            self.console.say(f"{one_line(seen.name, 80)} is defined as it was accepted")
            return

        def answer(yes: bool | None) -> None:
            if yes:
                self._accept(seen, "")

        self.app.push_screen(
            ConfirmScreen(
                f"Accept the definition of {one_line(seen.name, 80)}?",
                "It is pinned as it is shown below the tools. This cannot be undone.",
                yes="Accept it",
            ),
            answer,
        )

    @work(thread=True, group="policy-edit", description="policy-accept")
    def _accept(self, seen: ToolSeen, pin: str) -> None:
        try:
            self.services.ledger.catalogue.accept(
                seen.server, seen.name, by="console", shown_hash=seen.hash, pin=pin
            )
        except PinError as error:
            self.post_message(self._NeedsPin(seen, error))
        except PktuiError as error:
            self.post_message(self._NotAccepted(error))
        else:
            self.post_message(self.Accepted(seen))

    @on(Accepted)
    def _say_so(self, message: Accepted) -> None:
        name = one_line(message.seen.name, 80)
        self.console.say(f"accepted: {name} as it is defined now")

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
