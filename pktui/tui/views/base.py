"""What every view is: a widget with the services, told when something moved."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.widget import Widget

from pktui.text import one_line
from pktui.tui.background import in_thread
from pktui.tui.context import Context, context_of
from pktui.tui.document import Line
from pktui.tui.widgets.empty import Empty
from pktui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from pktui.errors import PktuiError
    from pktui.tui.services import Services

T = TypeVar("T")
# What takes no longer needs no word that it is awaited.
UNSAID_SECONDS = 0.3


class View(Widget):
    """Base of the views.

    The app calls the methods below from its event loop, and only while the view is in front:
    `shown` when it comes to the front, the others when what they name has changed since.
    """

    # What it reads first, of which it is said that it is awaited; "" where the view says it itself.
    AWAITS: ClassVar[str] = ""

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.services = services
        self._told_failure = ""
        self._answered = not self.AWAITS

    def on_mount(self) -> None:
        """Say what is awaited, where it takes its time."""
        if not self._answered:
            self.set_timer(UNSAID_SECONDS, self._say_awaited)

    def _say_awaited(self) -> None:
        if not self._told_failure:
            self._say_first(Line(f"Reading {self.AWAITS}…", "note"))

    def _say_first(self, *lines: Line) -> None:
        """Say above the view, which is empty, why it is."""
        if not self._answered:
            found = self.query_children("Lines.first").results(Lines)
            said = next(iter(found), None) or Lines(classes="first")
            if not said.is_attached:
                self.mount(said, before=0)
            said.show(lines)

    @cached_property
    def console(self) -> Context:
        """The app, with its scope, undo stack, inks and glyphs."""
        return context_of(self)

    def in_thread(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        failed: Callable[[PktuiError], object],
        *,
        group: str,
        saying: str = "",
    ) -> None:
        """Run work that may block; its end is told in the event loop."""
        in_thread(self, work, done, failed, group=group, saying=saying)

    def failed(self, error: PktuiError) -> None:
        """Tell that the view could not read; the same trouble is told once."""
        if str(error) != self._told_failure:
            self._told_failure = str(error)
            self.console.say_error(error)
            self._say_first(
                Line(one_line(error.what, 600), "removed"), Line(one_line(error.cure, 600), "note")
            )

    def worked(self) -> None:
        """Note that the view could read; tells that it can again."""
        if not self._answered:
            self._answered = True
            self.query_children("Lines.first").remove()
        if self._told_failure:
            self._told_failure = ""
            self.console.say(f"{self.id} can be read again")

    def offers(self, command: str) -> bool:
        """Tell whether an action would do something now; the key line leaves others out."""
        return True

    def why_not(self, command: str) -> str:
        """Return why an action cannot be taken now, for the person who pressed its key."""
        return ""

    def action_copy(self) -> None:
        """Copy the command that is shown where the view is empty."""
        shown = [one.line for one in self.query(Empty) if one.display and one.line]
        if shown:
            self.console.copy(shown[0])
        else:
            self.console.say("no command is shown here to be copied")

    def look_again(self) -> None:
        """A screen over the view was closed: what is under the cursor is looked at anew."""

    def focus_default(self) -> None:
        """Give the focus to the view's main list."""

    def search(self, text: str) -> None:
        """Search or filter by this text, where the view can."""

    def go_to(self, *names: str) -> None:
        """Put the cursor on what these names stand for: a server and a tool, an approval."""

    def tick(self, now_us: int) -> None:
        """A second passed while the view is in front: show what is another by now."""

    def shown(self) -> None:
        """Refresh: the view came to the front."""

    def ledger_moved(self) -> None:
        """Refresh: another process or this one wrote to the ledger, or to a file of policies."""

    def memory_moved(self) -> None:
        """Refresh: the memory service came, went, or holds other sessions."""

    def scope_changed(self) -> None:
        """Refresh: the person switched between this project and all."""
