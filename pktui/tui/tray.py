"""The approvals tray: one line under every view that says what waits, and never takes the focus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.reactive import reactive

from pktui.tui.theme import ink_of
from pktui.tui.widgets.bar import Bar, Part

if TYPE_CHECKING:
    from pktui.tui.services import Services


class Tray(Bar):
    """The tray; not there while nothing waits."""

    pending: reactive[int] = reactive(0)

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.services = services

    def left(self) -> Sequence[Part]:
        """Return what waits."""
        ink = ink_of(self.app)
        return (Part(f" {self.pending} waiting", ink.wait, "app.view('approvals')"),)

    def watch_pending(self) -> None:
        """Show the tray only while something waits."""
        self.display = self.pending > 0

    def ledger_moved(self, pending: int) -> None:
        """Show the new number."""
        self.pending = pending
