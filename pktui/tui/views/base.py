"""What every view is: a widget with the services, told when something moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from textual.widget import Widget

from pktui.tui.background import in_thread
from pktui.tui.context import Context, context_of
from pktui.tui.widgets.empty import Empty

if TYPE_CHECKING:
    from pktui.errors import PktuiError
    from pktui.tui.services import Services

T = TypeVar("T")


class View(Widget):
    """Base of the views.

    The app calls the methods below from its event loop, and only while the view is in front:
    `shown` when it comes to the front, the others when what they name has changed since.
    """

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.services = services
        self._told_failure = ""

    @property
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
    ) -> None:
        """Run work that may block; its end is told in the event loop."""
        in_thread(self, work, done, failed, group=group)

    def failed(self, error: PktuiError) -> None:
        """Tell that the view could not read; the same trouble is told once."""
        if str(error) != self._told_failure:
            self._told_failure = str(error)
            self.console.say_error(error)

    def worked(self) -> None:
        """Note that the view could read; tells that it can again."""
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
        shown = [one.line for one in self.query(Empty) if one.display]
        if shown:
            self.console.copy(shown[0])
        else:
            self.console.say("no command is shown here to be copied")

    def look_again(self) -> None:
        """A question over the view was closed: what is under the cursor is looked at anew."""

    def focus_default(self) -> None:
        """Give the focus to the view's main list."""

    def search(self, text: str) -> None:
        """Search or filter by this text, where the view can."""

    def go_to(self, *names: str) -> None:
        """Put the cursor on what these names stand for: a server and a tool, an approval."""

    def shown(self) -> None:
        """Refresh: the view came to the front."""

    def ledger_moved(self) -> None:
        """Refresh: another process or this one wrote to the ledger."""

    def memory_moved(self) -> None:
        """Refresh: the memory service came, went, or holds other sessions."""

    def scope_changed(self) -> None:
        """Refresh: the person switched between this project and all."""
