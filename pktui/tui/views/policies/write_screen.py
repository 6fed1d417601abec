"""What the drafts of a server change in its file: shown, then written as one edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.document import Line
from pktui.tui.screens.edit import EditScreen
from pktui.tui.views.policies.draw import change_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.binding import BindingType

    from pktui.tui.views.policies.writing import Proposal


class WriteScreen(EditScreen["Proposal | None"]):
    """Gives the proposal that was shown and is to be written, `None` where it is not."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("drafts")]

    def __init__(self, file: str, what: str) -> None:
        about = f"{one_line(file, 400)}, all at once. u takes it back."
        super().__init__(f"Write {what}?", about, ("drafts.write", "drafts.leave"))
        self._proposal: Proposal | None = None
        self._told: Sequence[str] = ()

    def on_mount(self) -> None:
        """Show the change, or that the file is being read."""
        if self._proposal is None:
            self.show_wait("reading the file…")
        else:
            self._fill(self._proposal)

    def show(self, proposal: Proposal, told: Sequence[str]) -> None:
        """Show what would be written; `told` says it, a line for each draft."""
        self._proposal, self._told = proposal, told
        if self.is_mounted:
            self._fill(proposal)

    def _fill(self, proposal: Proposal) -> None:
        told = [Line(one_line(each, 300), "warning") for each in self._told]
        self.show_change((*told, *([Line("")] if told else ()), *_difference(proposal)))

    def action_write(self) -> None:
        """Write it."""
        if self.is_answered():
            self.dismiss(self._proposal)

    def action_leave(self) -> None:
        """Write nothing; the drafts stay."""
        self.dismiss(None)


def _difference(proposal: Proposal) -> Iterator[Line]:
    if proposal.edit.changed:
        yield from change_lines(proposal.edit)
    else:
        yield Line("the file says so already; nothing would change", "note")
